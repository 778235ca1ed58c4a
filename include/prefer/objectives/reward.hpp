// Reward modelling: a model learns to score the answers that people ranked higher above the others.
#pragma once

#include "prefer/losses/reward_loss.hpp"
#include "prefer/model/reward_model.hpp"
#include "prefer/objectives/objective.hpp"

#include <memory>

namespace prefer {

/// For each pair or ranking the loss on the scores at its answers' ends; the term is per "groups" (records).
/// Metrics have TRL's names: loss, accuracy, margin, mean_reward. Of a ranking, accuracy and margin are of
/// all its pairs of answers that are not tied. Equal scores count half in accuracy.
class RewardObjective final : public Objective {
 public:
  RewardObjective(std::shared_ptr<RewardModel> model, RewardLoss loss)
      : model_(std::move(model)), loss_(loss) {}

  std::vector<ParameterGroup> parameters() const override;
  Loss operator()(const Batch& batch, const NamedTensors&) override { return loss(batch, scores(batch)); }
  /// What the model says of each sequence, which is read once; gradients flow where they are enabled. [S]
  /// double
  Tensor scores(const Batch& batch) const;
  /// The loss and the metrics of a batch with its scores.
  Loss loss(const Batch& batch, const Tensor& scores) const;

 private:
  std::shared_ptr<RewardModel> model_;
  RewardLoss loss_;
};

/// The pairs of a batch, each group a chosen and a rejected sequence, whose second grade is the margin.
ScoredPairs scored_pairs(const Batch& batch, const Tensor& scores);
/// The rankings of a batch: in a group, sequence k has role k and its rank as its first grade. Throws Error
/// where two have one role.
ScoredGroups scored_groups(const Batch& batch, const Tensor& scores);

/// The loss and the metrics of pairs, or of rankings.
Loss reward_loss(const BradleyTerry& loss, const ScoredPairs& pairs);
Loss reward_loss(const PlackettLuce& loss, const ScoredGroups& groups);

}  // namespace prefer
