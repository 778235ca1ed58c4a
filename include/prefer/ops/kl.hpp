// The exact KL divergence of next-token distributions, row by row, with gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// KL(softmax(policy / temperature) || softmax(reference / temperature)) of each row, in nats: [M, V] and [M,
/// V] of one type -> [M] float, or double for double. The gradient flows to the policy's logits, which it
/// keeps. kernels/kl. Throws Error when shapes or types do not fit. Does not wait
/// for the device.
Tensor kl_divergence(const Tensor& policy, const Tensor& reference, double temperature = 1);

}  // namespace prefer
