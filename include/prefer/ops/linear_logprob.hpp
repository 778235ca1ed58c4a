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

/// What another model says of the same rows, for the KL to it. No gradient reaches it.
struct SecondModel {
  Tensor hidden = {};      // [M, its D], of the type of the first's
  Matrix head = {};        // [its V, its D]
  bool estimates = false;  ///< also k1, k2 and k3 of the labels
};

struct Logprobs {
  Tensor logp;     // [M] float, or double for double
  Tensor entropy;  // [M], or undefined
  Tensor argmax;   // [M] int64, or undefined; the lowest id among equals
  /// KL(first || second) in nats, exact, where there is a second model; and Schulman's estimates of it from
  /// the labels, drawn from the first (kernels/kl/estimators.hpp). Where one head has more rows than the
  /// other (they are often padded), all of distributions over the ids that both have.
  Tensor kl;          // [M], or undefined
  Tensor k1, k2, k3;  // [M], or undefined
};

/// log softmax(hidden head^T / temperature)[label]: hidden [M, D], head [V, D], label [M] int64.
/// Logits that fit the budget are kept for the gradient. Otherwise they come in pieces, which go again: a
/// frozen head keeps dlogp/dhidden (unless the entropy is asked for), a trained one computes the logits again
/// in backward. The gradients of kl, k1, k2 and k3 always compute both models' logits again, in pieces. Any
/// budget gives the same gradient but for rounding and, on the CPU, the same bits of all values; on CUDA a
/// product's bits may depend on how many rows it has.
/// Throws Error when shapes or types do not fit, where a gradient is wanted and the head is a frozen one
/// (Matrix::frozen) or several stacked weights, or when a label lies outside the vocabulary; on CUDA, where a
/// look at the labels would wait for the device, such a label gets NaN. Does not wait for the device.
Logprobs linear_logprob(const Tensor& hidden, const Matrix& head, const Tensor& label,
                        const LogprobOptions& options = {}, const SecondModel& second = {});

}  // namespace prefer
