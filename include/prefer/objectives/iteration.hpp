// What the rollouts of an iteration came to, as an objective wants to know it.
#pragma once

#include <cstdint>
#include <map>
#include <string>

namespace prefer {

/// The same on every rank. Steps count from 1, iterations from 0: iteration i is steps i * steps + 1 .. (i +
/// 1) * steps.
struct Iteration {
  int64_t index = -1;                          ///< -1: none yet
  int64_t steps = 1;                           ///< optimizer steps an iteration
  std::map<std::string, double> metrics = {};  ///< TRL's objective/... and val/num_eos_tokens, and episode
  double kl = 0;                               ///< mean over its answers, by the estimator of the reward
  double episodes = 0;                         ///< its answers
  /// The largest difference, over answers, of a log-prob under policy and reference, in nats; and the same
  /// with the differences of an answer's tokens added up without their signs.
  double gap = 0, gap_of_tokens = 0;

  bool begins_at(int64_t step) const { return (step - 1) % steps == 0; }
};

}  // namespace prefer
