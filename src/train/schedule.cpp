// Warm-up and decay of the learning rate.
#include "prefer/train/schedule.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace prefer {

void ScheduleConfig::describe(Fields& f) {
  f("lr_scheduler_type", lr_scheduler_type, "how the learning rate goes on after warm-up",
    one_of({"constant", "linear", "cosine"}));
  f("warmup_steps", warmup_steps,
    "steps (PPO: iterations) on which the learning rate rises, from 0 at the first; 0 = use warmup_ratio",
    at_least(0));
  f("warmup_ratio", warmup_ratio, "share of them on which it rises", within(0, 1));
}

int64_t ScheduleConfig::warmup(int64_t steps) const {
  return warmup_steps > 0 ? warmup_steps
                          : static_cast<int64_t>(std::ceil(static_cast<double>(steps) * warmup_ratio));
}

double ScheduleConfig::factor(int64_t step, int64_t steps) const {
  const auto all = static_cast<double>(steps), warmup = static_cast<double>(this->warmup(steps));
  const auto done = static_cast<double>(step - 1);
  if (done < warmup) return done / std::max(1.0, warmup);
  if (lr_scheduler_type == "constant") return 1;
  const double length = std::max(1.0, all - warmup);
  if (lr_scheduler_type == "linear") return std::max(0.0, (all - done) / length);
  return std::max(0.0, 0.5 * (1 + std::cos(std::numbers::pi * (done - warmup) / length)));
}

}  // namespace prefer
