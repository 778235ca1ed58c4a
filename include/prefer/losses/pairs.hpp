// What a pairwise preference loss may read: sums of log-probabilities of chosen and rejected, references,
// lengths.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// One side of N pairs: the completions that were chosen, or those that were rejected.
struct Side {
  Tensor logp;       // [N] sum over completion tokens of log pi(y_t | x, y_<t), with gradient
  Tensor reference;  // [N] the same under the reference; undefined where the loss needs none
  Tensor length;     // [N] scored tokens, as the same type as logp
  Tensor grade;      // [N, A] what the record says of the answer; NaN = not given

  /// log pi - log pi_ref, summed over the completion. [N]
  Tensor ratio() const { return logp - reference; }
  /// Mean log-probability a token. [N]
  Tensor mean() const { return logp / length; }
};

/// N pairs, side by side.
struct Pairs {
  Side chosen;
  Side rejected;
  Tensor share;  // [N] weight of the record, double on the CPU
};

}  // namespace prefer
