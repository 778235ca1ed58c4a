// Preference optimization on pairs: a policy, a reference, and a pairwise loss.
#pragma once

#include "prefer/losses/preference_loss.hpp"
#include "prefer/objectives/objective.hpp"
#include "prefer/objectives/reference.hpp"

#include <memory>

namespace prefer {

/// For each pair the loss on completion tokens' log-probs; the term is per "groups" (pairs). Metrics have
/// TRL's names: loss, rewards/{chosen,rejected,accuracies,margins}, logps/{chosen,rejected}. A tie counts
/// half in accuracies.
class PreferenceObjective final : public Objective {
 public:
  PreferenceObjective(std::shared_ptr<Model> policy, PreferenceLoss loss, ReferenceSource reference);

  std::vector<ParameterGroup> parameters() const override;
  /// Of a coupled loss: each pair's loss and its gradient by the two log-probs, taken over the whole step
  /// after a forward without gradient. A slot's gradient then flows through those (gradient cache, Gao et al.
  /// 2021, arXiv 2101.06983).
  NamedTensors prepare(const Plan& plan, Source& source, Team& team) override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  /// From here the policy is no longer the reference: the identity is not measured, as that waits for the
  /// device.
  void passed(int64_t) override { at_start_ = false; }
  /// The pairs of a batch as the loss sees them; gradients flow to the policy where they are enabled.
  Pairs pairs(const Batch& batch) const;
  /// The loss and the metrics of the pairs of a slot.
  Loss loss(const Pairs& pairs, const NamedTensors& prepared, int64_t slot) const;
  /// The reward that the loss implies of one side. [N]
  Tensor reward(const Side& side) const { return loss_.reward(side); }

 private:
  /// Each pair's loss, and what the step's loss is made of: the same sum with the gradient that it shall
  /// have.
  std::pair<Tensor, Tensor> each_and_sum(const Pairs& p, const NamedTensors& prepared, int64_t slot) const;

  std::shared_ptr<Model> policy_;
  PreferenceLoss loss_;
  ReferenceSource reference_;
  bool at_start_ = true;
};

}  // namespace prefer
