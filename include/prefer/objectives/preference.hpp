// Preference optimization on pairs: a policy, a reference, and a pairwise loss.
#pragma once

#include "prefer/losses/preference_loss.hpp"
#include "prefer/model/model.hpp"
#include "prefer/objectives/objective.hpp"

#include <memory>

namespace prefer {

/// Where the reference's log-probabilities come from.
struct ReferenceSource {
  std::shared_ptr<const Model> model;  ///< run live where the batch has no column "reference"; null: it has
                                       ///< one, or the loss needs none
  bool is_start = true;  ///< the reference is the policy as it was at step 0, so the two must agree there
  double bound = 0;      ///< by how much a sum of log-probs may differ at step 0; 0 asks for the same bits
};

/// For each pair the loss on completion tokens' log-probs; the term is per "groups" (pairs). Metrics have
/// TRL's names: loss, rewards/{chosen,rejected,accuracies,margins}, logps/{chosen,rejected}. A tie counts
/// half in accuracies.
class PreferenceObjective final : public Objective {
 public:
  PreferenceObjective(std::shared_ptr<Model> policy, PreferenceLoss loss, ReferenceSource reference);

  std::vector<ParameterGroup> parameters() const override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  /// From here the policy is no longer the reference: the identity is not measured, as that waits for the device.
  void passed(int64_t) override { at_start_ = false; }
  /// The pairs of a batch as the loss sees them; gradients flow to the policy where they are enabled.
  Pairs pairs(const Batch& batch) const;
  /// The loss and the metrics of pairs.
  Loss loss(const Pairs& pairs) const;
  /// The reward that the loss implies of one side. [N]
  Tensor reward(const Side& side) const { return loss_.reward(side); }

 private:
  std::shared_ptr<Model> policy_;
  PreferenceLoss loss_;
  ReferenceSource reference_;
  bool at_start_ = true;
};

}  // namespace prefer
