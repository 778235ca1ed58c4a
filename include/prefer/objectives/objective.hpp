// Model and batch to Loss: what an algorithm is, apart from what it is trained on.
#pragma once

#include "prefer/batch/source.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/losses/loss.hpp"
#include "prefer/ops/parameter.hpp"

namespace prefer {

/// A group of parameters that share a learning rate.
struct ParameterGroup {
  std::string name = {};
  Parameters parameters = {};
  double learning_rate_scale = 1;  ///< times the optimizer's learning rate
};

/// An objective owns its models. Called once a slot; it keeps nothing between slots.
class Objective {
 public:
  virtual ~Objective() = default;
  /// What is trained.
  virtual std::vector<ParameterGroup> parameters() const = 0;
  /// Every term's denominator, from the plan alone: known before the first backward, without a collective.
  virtual Counts count(const Plan& plan) const { return plan.total(); }
  /// Statistics of the whole step that the losses need (KTO's KL, AOT's sort): a value, made without
  /// gradient.
  virtual NamedTensors prepare(const Plan&, Source&, Team&) { return {}; }
  /// The loss of one slot.
  virtual Loss operator()(const Batch& batch, const NamedTensors& prepared) = 0;
  /// Named tensors saved with a checkpoint; changed only in `passed`, after the guard.
  virtual NamedTensors state() const { return {}; }
  virtual void restore(const NamedTensors&) {}
  virtual void passed(int64_t /*step*/) {}
};

}  // namespace prefer
