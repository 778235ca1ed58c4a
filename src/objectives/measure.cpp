// Runs an objective over a source without gradient.
#include "prefer/objectives/measure.hpp"

namespace prefer {

Metrics measure(Objective& objective, Source& source, const std::string& prefix) {
  const c10::NoGradGuard frozen;
  Metrics metrics;
  const Plan plan = source.plan(1);
  Alone team;
  const NamedTensors prepared = objective.prepare(plan, source, team);
  for (const Slot& slot : plan.slots) {
    metrics.merge(objective(source.batch(1, slot), prepared).metrics, prefix);
  }
  return metrics;
}

}  // namespace prefer
