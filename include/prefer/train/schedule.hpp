// The learning rate of a step as a share of its peak: warm-up, then constant, linear or cosine.
#pragma once

#include "prefer/core/config.hpp"

namespace prefer {

/// Steps or iterations that a config may ask for: none of their products with the steps of an iteration
/// overflows.
constexpr double kMostSteps = 1e9;

/// Names and values are those of transformers' get_constant_schedule_with_warmup,
/// get_linear_schedule_with_warmup and get_cosine_schedule_with_warmup.
struct ScheduleConfig {
  std::string lr_scheduler_type = "linear";  ///< after warm-up; or "constant", "cosine"
  int64_t warmup_steps = 0;                  ///< steps on which the rate rises from 0; 0: warmup_ratio says
  double warmup_ratio = 0;                   ///< the same as a share of all steps; 0: none

  void describe(Fields& f);
  /// On how many of so many steps the rate rises; it reaches its peak at the one after them.
  int64_t warmup(int64_t steps) const;
  /// What step 1..steps multiplies the learning rate by, in 0..1. With warm-up the first step's is 0, as
  /// there.
  double factor(int64_t step, int64_t steps) const;
};

}  // namespace prefer
