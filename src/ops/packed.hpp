// The packed forms of a weight, made when first wanted and again when the weight has changed; products on
// routes.
#pragma once

#include "prefer/ops/gemm.hpp"
#include "prefer/ops/linear.hpp"
#include "src/ops/packing.hpp"

#include <mutex>

namespace prefer {

namespace gemm {
/// Which route a product with this tensor takes.
GemmRoute route_of(const Tensor& t);
/// x [M, in] times a packed weight: [M, out].
Tensor packed_product(const Tensor& x, const Packed& packed);
}  // namespace gemm

struct PackedForms {
  std::mutex mutex;
  std::vector<std::pair<const void*, int64_t>> made_of;  ///< address and version of each part
  Tensor plain;                                          ///< [out, in], the parts stacked
  gemm::Packed packed;                                   ///< of plain
  gemm::Packed packed_transposed;                        ///< of plain^T

  static Tensor plain_of(const Matrix& w);
  static gemm::Packed packed_of(const Matrix& w);
  static gemm::Packed packed_transposed_of(const Matrix& w);
  void forget();

 private:
  static PackedForms& current(const Matrix& w);
};

}  // namespace prefer
