// Proximal policy optimization on rollouts: a policy, a value model, and their clipped losses.
#pragma once

#include "prefer/credit/kl_controller.hpp"
#include "prefer/losses/policy.hpp"
#include "prefer/model/value_model.hpp"
#include "prefer/objectives/iteration.hpp"
#include "prefer/objectives/objective.hpp"

#include <memory>
#include <optional>

namespace prefer {

/// What a PPO objective is told beside its models.
struct PpoSettings {
  PpoLoss loss = {};
  double temperature = 1;           ///< that answers were sampled at
  double value_rate_scale = 1;      ///< of the value model's learning rate
  bool starts_at_reference = true;  ///< at step 1 policy and reference are one model, so that their KL is 0
  double bound =
      0;  ///< by how much an answer's log-prob may differ between two forwards; 0 asks for the same bits
};

/// Of each minibatch the sums over tokens of the clipped policy and value losses and of the entropy, per
/// "completion_tokens". Until a step of an iteration passes the ratio must be 1, and in the first
/// iteration the KL 0. The KL controller is its state and moves once an iteration, after a step that the
/// guard let pass. Metrics have TRL's names; val/ratio_var is the mean square of ratio - 1.
class PpoObjective final : public Objective {
 public:
  /// `iteration` is the one that a step belongs to, kept up to date by the source; both references must
  /// outlive the objective.
  PpoObjective(std::shared_ptr<Model> policy, std::shared_ptr<ValueModel> value, const PpoSettings& settings,
               const Iteration& iteration, KlController& controller);

  /// "policy", and "value" with its own scale of the learning rate.
  std::vector<ParameterGroup> parameters() const override;
  /// The figures of the iteration, and what must hold while no step of it has passed.
  NamedTensors prepare(const Plan& plan, Source&, Team&) override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  NamedTensors state() const override { return controller_.state(); }
  void restore(const NamedTensors& state) override { controller_.restore(state); }
  void passed(int64_t step) override;

 private:
  std::shared_ptr<Model> policy_;
  std::shared_ptr<ValueModel> value_;
  PpoSettings settings_;
  const Iteration& iteration_;
  KlController& controller_;
  std::optional<int64_t> learnt_in_;  // the iteration of the last step that passed
};

}  // namespace prefer
