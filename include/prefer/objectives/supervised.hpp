// Supervised fine-tuning: a model learns to say given tokens after what stands before them.
#pragma once

#include "prefer/model/model.hpp"
#include "prefer/objectives/objective.hpp"

#include <memory>

namespace prefer {

/// What the model says of a batch's scored tokens.
struct Said {
  Tensor logp;     // [M] with gradient where it is enabled
  Tensor entropy;  // [M] nats, of the distribution that the token was drawn from
  Tensor right;    // [M] double, 1 where the token is the likeliest
  Tensor weight;   // [M] double, the token's weight times the record's share; undefined where all are 1

  /// The weighted sum of a tensor over tokens. []
  Tensor sum(const Tensor& of) const;
};

/// The negative log-likelihood of a text's scored tokens, x before y:
///   loss = -(1 / n) sum_t log pi(y_t | x, y_<t),  n the scored tokens of the whole step.
/// The term is per "learnt_tokens", those of completions and of prompts (Term), so a long record weighs more
/// than a short one, as TRL has it. Metrics
/// have TRL's names: loss, mean_token_accuracy (how often the token is the likeliest) and entropy.
class SupervisedObjective final : public Objective {
 public:
  explicit SupervisedObjective(std::shared_ptr<Model> model) : model_(std::move(model)) {}

  std::vector<ParameterGroup> parameters() const override;
  /// And "learnt_tokens".
  Counts count(const Plan& plan) const override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  Said said(const Batch& batch) const;
  /// The loss and the metrics of what was said.
  Loss loss(const Said& said) const;

 private:
  std::shared_ptr<Model> model_;
};

}  // namespace prefer
