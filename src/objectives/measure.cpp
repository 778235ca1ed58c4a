// Runs an objective over a source without gradient.
#include "prefer/objectives/measure.hpp"

namespace prefer {

Metrics measure(Objective& objective, Source& source, const std::string& prefix) {
  const c10::NoGradGuard frozen;
  Metrics metrics;
  for (const Slot& slot : source.plan(1).slots) {
    metrics.merge(objective(source.batch(1, slot), {}).metrics, prefix);
  }
  return metrics;
}

}  // namespace prefer
