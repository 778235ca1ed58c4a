// The guard between a step's gradient and its update: nothing that is not finite, and no spike, reaches a
// weight.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/train/gradients.hpp"

#include <deque>

namespace prefer {

struct GuardConfig {
  std::string on_bad = "stop";  ///< or "skip"
  double spike = 0;             ///< deviations of the norm above the median that are a spike; 0: none is
  int64_t window = 64;          ///< steps that the median and max_skips look back
  int64_t max_skips = 8;  ///< skipped steps within the window that are borne; 0: the first stops the run

  void describe(Fields& f);
};

/// What a step is judged by; loss and norm are the same on every rank.
struct Measured {
  double loss = 0;
  std::string not_finite = {};  ///< "records 3, 17": those of the first slot whose loss is not finite
  double norm = 0;              ///< of the gradient
};

/// Lets a step pass or not, before anything has changed.
class Guard {
 public:
  explicit Guard(const GuardConfig& config) : config_(config) {}

  /// An empty string lets the step pass; otherwise it says why the step is skipped. Throws Error with that
  /// reason where the config says stop, or when max_skips of the last `window` steps were skipped already.
  /// Collective.
  std::string judge(int64_t step, const Measured& measured, Gradients& gradients, Team& team);
  /// Steps skipped so far.
  int64_t skipped() const { return skipped_; }

  NamedTensors state() const;
  void restore(const NamedTensors& state);

 private:
  std::string reason(const Measured& measured, Gradients& gradients) const;
  /// The norm above which a step is a spike: median + spike * max(1.4826 MAD, median / 20) of the window;
  /// infinity while the window holds fewer than 16.
  double limit() const;

  GuardConfig config_;
  std::deque<double> norms_;   ///< of the last steps that passed, all finite
  std::deque<int64_t> skips_;  ///< the steps skipped among the last `window`
  int64_t skipped_ = 0;
};

}  // namespace prefer
