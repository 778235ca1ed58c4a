// Draws a token a row from logits, with its log-probability and the row's entropy; none has a gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

struct SampleOptions {
  double temperature = 1;  ///< 0: the largest logit, the lowest index among equals
  double top_p = 1;        ///< the shortest prefix of the ranking whose probability reaches it
  int64_t top_k = 0;       ///< 0: all
  bool tempered = false;   ///< log-probs and entropies of softmax(logits / temperature), not softmax(logits)
  bool entropy = false;    ///< also the entropy of each row's distribution, in nats
};

struct Drawn {
  Tensor token;    // [M] int64; -1 for a row with NaN, with +inf or without a finite logit
  Tensor logp;     // [M] float, or double for double; without the filters
  Tensor entropy;  // [M], or undefined; without the filters
};

/// Tokens drawn from logits [M, V] with uniform [M] double numbers in (0, 1); a row's draw depends on nothing
/// but the row and its number. On the CPU log-probs and entropies have the bits that linear_logprob gives for
/// the same logits; on CUDA they differ by rounding. Throws Error when shapes or options do not fit. Does not
/// wait for the device. kernels/sample.
Drawn sample_tokens(const Tensor& logits, const Tensor& uniform, const SampleOptions& options);

}  // namespace prefer
