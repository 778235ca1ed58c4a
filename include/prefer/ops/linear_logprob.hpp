// Log-probabilities of tokens from hidden states, without ever holding all logits: the one door behind every
// loss.
#pragma once

#include "prefer/ops/linear.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

struct LogprobOptions {
  double temperature = 1;                     ///< logits are divided by it
  bool entropy = false;                       ///< also the entropy of each row's distribution, in nats
  int64_t logits_bytes = int64_t{256} << 20;  ///< rows are cut so that one chunk's logits take no more
};

struct Logprobs {
  Tensor logp;     // [M] float, or double for double
  Tensor entropy;  // [M], or undefined
};

/// log softmax(hidden head^T / temperature)[label]: hidden [M, D], head [V, D], label [M] int64.
/// One chunk keeps its logits, and their gradient is formed in place; a frozen head with more chunks keeps
/// dlogp/dhidden; otherwise logits are computed again in backward. Throws Error when shapes do not fit or a
/// label lies outside the vocabulary.
Logprobs linear_logprob(const Tensor& hidden, const Matrix& head, const Tensor& label,
                        const LogprobOptions& options = {});

}  // namespace prefer
