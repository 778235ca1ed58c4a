// Transposed copies at the speed of memory: LibTorch's own are made by one thread, several times slower.
#pragma once

#include "prefer/tensor.hpp"

#include <cstdint>
#include <span>

namespace prefer::gemm {

/// Of all matrices together.
int64_t rows_of(std::span<const Tensor> stacked);

/// The transpose of matrices [out_i, in] stacked, in memory of its own: [in, sum of out_i]. One type and
/// device.
Tensor transposed(std::span<const Tensor> stacked);
inline Tensor transposed(const Tensor& matrix) { return transposed({&matrix, 1}); }

/// to[c * to_stride + r] = from[r * columns + c], for r below `rows` and c below `columns`.
void transpose(const uint32_t* from, int64_t rows, int64_t columns, uint32_t* to, int64_t to_stride);

}  // namespace prefer::gemm
