// Products whose rows keep their bits whatever the rows beside them. Where the CPU has AMX, oneDNN's products
// of bfloat16 sum in an order that depends on the number of rows; there they are made of calls with counts of
// rows that were found to sum alike, and few rows are multiplied by a kernel of prefer's in the same order.
#pragma once

#include "src/ops/packing.hpp"

#include <functional>
#include <vector>

namespace prefer::gemm {

/// x [M, in] times a packed weight [out, in]: [M, out].
Tensor row_product(const Tensor& x, const Packed& packed);

/// x with rows of zeros behind it, `rows` in all where it has fewer. Contiguous.
Tensor padded(const Tensor& x, int64_t rows);

/// A stretch of rows: [first, first + count), padded where fewer are left.
struct RowBlock {
  int64_t first, count;
  bool operator==(const RowBlock&) const = default;
};
/// How `rows` are covered by calls with the counts that are allowed: few calls, few rows twice. 32 always is.
/// What is left and not more than `few` is a block of its own.
std::vector<RowBlock> row_blocks(int64_t rows, const std::function<bool(int64_t count)>& allowed,
                                 int64_t few);

/// Matrices to tell orders of summation apart: in x w^T every product occurs twice, with both signs, so that
/// what is left is rounding. The rows of x repeat after 32.
Tensor cancelling_rows(int64_t rows, int64_t in, at::ScalarType type);
Tensor cancelling_weight(int64_t out, int64_t in, at::ScalarType type);

}  // namespace prefer::gemm
