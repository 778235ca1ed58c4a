// The packed forms of a weight, made when first wanted and again when the weight has changed; products on
// routes.
#pragma once

#include "prefer/ops/gemm.hpp"
#include "prefer/ops/linear.hpp"

#include <mutex>

namespace prefer {

namespace gemm {
/// Which route a product with this tensor takes.
GemmRoute route_of(const Tensor& t);
/// oneDNN's form of a weight [out, in].
Tensor pack(const Tensor& weight);
/// x [M, in] times a packed weight: [M, out].
Tensor packed_product(const Tensor& x, const Tensor& packed);
}  // namespace gemm

struct PackedForms {
  std::mutex mutex;
  std::vector<std::pair<const void*, int64_t>> made_of;  ///< address and version of each part
  Tensor plain;                                          // [out, in], the parts stacked
  Tensor packed;                                         // of plain
  Tensor packed_transposed;                              // of plain^T

  static Tensor plain_of(const Matrix& w);
  static Tensor packed_of(const Matrix& w);
  static Tensor packed_transposed_of(const Matrix& w);
  static Tensor stacked(const Matrix& w);

 private:
  static PackedForms& current(const Matrix& w);
};

}  // namespace prefer
