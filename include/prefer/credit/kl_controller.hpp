// The coefficient of the KL penalty: fixed, or moved so that the KL comes to a target.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// The log-space proportional controller of Ziegler et al. 2019, section 2.2 (arXiv 1909.08593):
///   e = clip((KL - target) / target, -0.2, 0.2);   beta <- beta (1 + K e),
/// with K = episodes / horizon, as in the paper's code. What it remembers is named state, saved with a
/// checkpoint.
class KlController {
 public:
  /// `target` in nats an answer; 0: the coefficient stays. `horizon` in episodes.
  KlController(double coefficient, double target, double horizon)
      : coefficient_(coefficient), target_(target), horizon_(horizon) {}

  double coefficient() const { return coefficient_; }
  /// Iteration `iteration`, from 0, had this mean KL over so many episodes. Only the first call for an
  /// iteration counts.
  void update(int64_t iteration, double kl, double episodes);

  NamedTensors state() const;
  /// Throws Error for a name that is missing.
  void restore(const NamedTensors& state);

 private:
  double coefficient_, target_, horizon_;
  int64_t iterations_ = 0;
};

}  // namespace prefer
