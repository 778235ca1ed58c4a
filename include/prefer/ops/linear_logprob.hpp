// Log-probabilities of tokens from hidden states, within a budget for logits: the one door behind every loss.
#pragma once

#include "prefer/ops/linear.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

struct LogprobOptions {
  double temperature = 1;                     ///< logits are divided by it
  bool entropy = false;                       ///< also the entropy of each row's distribution, in nats
  bool argmax = false;                        ///< also the likeliest token of each row
  int64_t logits_bytes = int64_t{256} << 20;  ///< no more logits than these are held at once
};

struct Logprobs {
  Tensor logp;     // [M] float, or double for double
  Tensor entropy;  // [M], or undefined
  Tensor argmax;   // [M] int64, or undefined; the lowest id among equals
};

/// log softmax(hidden head^T / temperature)[label]: hidden [M, D], head [V, D], label [M] int64.
/// Logits that fit the budget are kept for the gradient. Otherwise they come in pieces, which go again: a
/// frozen head keeps dlogp/dhidden (unless the entropy is asked for), a trained one computes the logits again
/// in backward. Any budget gives the same bits of logp and entropy, and the same gradient but for rounding.
/// Throws Error when shapes do not fit, where the gradient of a head of several stacked weights is wanted, or
/// when a label lies outside the vocabulary; on CUDA, where a look at the labels would wait for the device,
/// such a label gets NaN. Does not wait for the device.
Logprobs linear_logprob(const Tensor& hidden, const Matrix& head, const Tensor& label,
                        const LogprobOptions& options = {});

}  // namespace prefer
