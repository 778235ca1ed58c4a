// One step of an objective without the loop: its slots one after the other, and what they add up to.
#pragma once

#include "prefer/batch/source.hpp"
#include "prefer/objectives/objective.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

namespace prefer::testing {

struct Outcome {
  double loss = 0;
  std::map<std::string, double> metrics;
  std::vector<Tensor> gradients;  ///< of the objective's parameters, in their order
};

/// The first step of `source`, its slots from the first to the last, or from the last to the first.
inline Outcome step(Objective& objective, Source& source, const NamedTensors& prepared = {},
                    bool backwards = false) {
  Parameters parameters;
  for (const ParameterGroup& group : objective.parameters())
    parameters.insert(parameters.end(), group.parameters.begin(), group.parameters.end());
  for (const Parameter& p : parameters) Tensor(p.value).mutable_grad() = Tensor();
  Plan plan = source.plan(1);
  if (backwards) std::ranges::reverse(plan.slots);
  Outcome outcome;
  Metrics metrics;
  for (const Slot& slot : plan.slots) {
    const Loss loss = objective(source.batch(1, slot), prepared);
    const Tensor part = loss.divided_by(objective.count(plan));
    outcome.loss += part.item<double>();
    part.backward();
    metrics.merge(loss.metrics);
  }
  outcome.metrics = metrics.values();
  for (const Parameter& p : parameters) outcome.gradients.push_back(p.value.grad().clone());
  return outcome;
}

/// Loss, metrics and gradients of `a` are those of `b`, to `bound`.
inline void expect_same(const Outcome& a, const Outcome& b, double bound = 1e-10) {
  EXPECT_NEAR(a.loss, b.loss, bound);
  for (const auto& [name, value] : b.metrics) EXPECT_NEAR(a.metrics.at(name), value, bound) << name;
  ASSERT_EQ(a.gradients.size(), b.gradients.size());
  for (std::size_t i = 0; i < b.gradients.size(); ++i)
    EXPECT_LT((a.gradients[i] - b.gradients[i]).abs().max().item<double>(), bound) << i;
}

}  // namespace prefer::testing
