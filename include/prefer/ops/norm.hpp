// RMSNorm, alone and with the residual addition before it, with gradient.
#pragma once

#include "prefer/tensor.hpp"

#include <utility>

namespace prefer {

/// y = weight * x / sqrt(mean(x^2) + eps) over the last axis: x [M, D], weight [D] -> [M, D].
/// Zhang, Sennrich, 2019, arXiv:1910.07467; kernels/norm. Throws Error when shapes or types do not fit.
/// Does not wait for the device.
Tensor rms_norm(const Tensor& x, const Tensor& weight, double eps);

/// sum = x + residual, and rms_norm(sum): {sum, normed}, in one pass over both. Throws alike; does not wait
/// for the device.
std::pair<Tensor, Tensor> add_rms_norm(const Tensor& x, const Tensor& residual, const Tensor& weight,
                                       double eps);

}  // namespace prefer
