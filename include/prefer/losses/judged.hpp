// What a loss on single answers may read, each judged desirable or not: unpaired preferences.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// S answers, each with its verdict.
struct Judged {
  Tensor logp;       // [S] sum over completion tokens of log pi(y_t | x, y_<t), with gradient
  Tensor reference;  // [S] the same under the reference
  Tensor desirable;  // [S] 1 or 0, as the same type as logp
  Tensor share;      // [S] weight of the record, double on the CPU
  Tensor kl;         // [] estimate of KL(pi || ref) over the whole step, without gradient

  /// log pi - log pi_ref, summed over the completion. [S]
  Tensor ratio() const { return logp - reference; }
};

}  // namespace prefer
