// The KL divergence of next-token distributions, row by row, exact or as drawn tokens tell it, with gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// KL(softmax(policy / temperature) || softmax(reference / temperature)) of each row, in nats: [M, V] and [M,
/// V] of one type -> [M] float, or double for double. The gradient flows to the policy's logits, which it
/// keeps. kernels/kl. Throws Error when shapes or types do not fit. Does not wait
/// for the device.
Tensor kl_divergence(const Tensor& policy, const Tensor& reference, double temperature = 1);

/// What the two models say of one token a row.
struct TokenKl {
  Tensor kl;              // [M] as kl_divergence has it
  Tensor policy_logp;     // [M] log pi(label)
  Tensor reference_logp;  // [M] log ref(label), without gradient
  /// log pi - log ref: Schulman's k1, and what k2 and k3 are functions of (credit/kl_estimators.hpp).
  Tensor log_ratio() const { return policy_logp - reference_logp; }
};

/// The same in one pass with the log-probabilities of label [M] int64, drawn tokens say: what the estimators
/// k1, k2, k3 of the KL are made of (Schulman, "Approximating KL Divergence", 2020). The gradients of both
/// reach the policy's logits in one pass, too. Throws Error as kl_divergence does, and where label is not
/// [M] int64.
TokenKl kl_of_tokens(const Tensor& policy, const Tensor& reference, const Tensor& label,
                     double temperature = 1);

}  // namespace prefer
