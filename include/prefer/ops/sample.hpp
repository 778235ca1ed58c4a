// Draws a token a row from logits, and the log-probability of a given token; neither has a gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

struct SampleOptions {
  double temperature = 1;  ///< 0: the largest logit, the lowest index among equals
  double top_p = 1;        ///< the shortest prefix of the ranking whose probability reaches it
  int64_t top_k = 0;       ///< 0: all
};

/// Tokens [M] int64 drawn from logits [M, V] with uniform [M] double numbers in (0, 1); a row's draw depends
/// on nothing but the row and its number. -1 for a row that holds a NaN or no finite logit. Throws Error when
/// shapes or options do not fit. Does not wait for the device. kernels/sample.
Tensor sample_tokens(const Tensor& logits, const Tensor& uniform, const SampleOptions& options);

/// log softmax(logits / temperature)[label]: [M, V], [M] int64 -> [M]; the bits that linear_logprob gives for
/// the same logits. Throws Error when shapes do not fit, temperature is not above 0, or a label lies outside
/// the vocabulary; on CUDA such a label gets NaN. Does not wait for the device.
Tensor token_logprob(const Tensor& logits, const Tensor& label, double temperature = 1);

}  // namespace prefer
