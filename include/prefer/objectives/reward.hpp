// Reward modelling: a model learns to score the answer that people chose above the one they rejected.
#pragma once

#include "prefer/losses/bradley_terry.hpp"
#include "prefer/model/reward_model.hpp"
#include "prefer/objectives/objective.hpp"

#include <memory>

namespace prefer {

/// For each pair the loss on the scores at the two answers' ends; the term is per "groups" (pairs). Metrics
/// have TRL's names: loss, accuracy, margin, mean_reward. A tie counts half in accuracy.
class RewardObjective final : public Objective {
 public:
  RewardObjective(std::shared_ptr<RewardModel> model, BradleyTerry loss)
      : model_(std::move(model)), loss_(loss) {}

  std::vector<ParameterGroup> parameters() const override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  /// The pairs of a batch, each of whose sequences is read once; gradients flow where they are enabled.
  ScoredPairs pairs(const Batch& batch) const;
  /// The loss and the metrics of pairs.
  Loss loss(const ScoredPairs& pairs) const;

 private:
  std::shared_ptr<RewardModel> model_;
  BradleyTerry loss_;
};

}  // namespace prefer
