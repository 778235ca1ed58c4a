// Rotary position embedding with gradient, and the tables it reads.
#pragma once

#include "kernels/rope/rope.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

/// cos and sin of every position's angles, in double or float as the op on a given type wants them.
struct RopeTable {
  Tensor cos;  // [positions, dim / 2]
  Tensor sin;
  int64_t positions() const { return cos.size(0); }
};

/// The table for positions 0 .. positions - 1 for ops on tensors of `dtype`. Throws Error for frequencies
/// that kernels/rope refuses. It is made on the CPU: a copy to another device waits for it.
RopeTable make_rope_table(const kernels::rope::Frequencies& frequencies, int64_t positions,
                          at::ScalarType dtype, at::Device device);

/// Rotates each head by its row's position (half-split layout): x [M, heads, dim] -> the same. Su et al.,
/// 2021, arXiv:2104.09864. Throws Error when shapes do not fit or a position lies outside the table;
/// on CUDA such a position gets NaN. Does not wait for the device.
Tensor rope(const Tensor& x, const Tensor& position, const RopeTable& table);

/// Queries, keys and values of one fused projection: queries and keys rotated.
struct QueryKeyValue {
  Tensor query;  // [M, H, d]
  Tensor key;    // [M, K, d]
  Tensor value;  // [M, K, d]
};

/// Splits qkv [M, (H + 2K) d] and rotates queries and keys; one gradient for the whole. Throws as `rope`
/// does, and does not wait for the device.
QueryKeyValue split_rope(const Tensor& qkv, int64_t heads, int64_t kv_heads, const Tensor& position,
                         const RopeTable& table);

}  // namespace prefer
