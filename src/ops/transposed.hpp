// Transposed copies at the speed of memory: LibTorch's own are made by one thread, several times slower.
#pragma once

#include "prefer/tensor.hpp"

#include <span>

namespace prefer::gemm {

/// The transpose of matrices [out_i, in] stacked, in memory of its own: [in, sum of out_i]. One type and
/// device.
Tensor transposed(std::span<const Tensor> stacked);
inline Tensor transposed(const Tensor& matrix) { return transposed({&matrix, 1}); }

}  // namespace prefer::gemm
