// What a loss of a reward model may read of pairs: their scores, and what the records say besides.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// What a reward model says of N pairs, and what the records say besides.
struct ScoredPairs {
  Tensor chosen;    // [N] s_w, double, with gradient
  Tensor rejected;  // [N] s_l
  Tensor margin;    // [N] how much better the chosen answer is; NaN = not given
  Tensor share;     // [N] weight of the record, double on the CPU
};

}  // namespace prefer
