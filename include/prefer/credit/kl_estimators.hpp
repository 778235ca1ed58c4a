// Estimates of KL(pi || ref) from tokens drawn from pi.
#pragma once

#include "prefer/tensor.hpp"

#include <string>

namespace prefer {

/// Schulman's "k1", "k2" or "k3" (kernels/kl/estimators.hpp), elementwise of q = log pi - log ref of drawn
/// tokens: [M] -> [M], nats. This is what a reward takes: PPO has log-probabilities of both models when it
/// pays, and no logits any more. Where there are logits, linear_logprob with a second model gives the same
/// and the exact KL. Throws Error for another name.
Tensor kl_estimate(const std::string& name, const Tensor& q);

}  // namespace prefer
