// Weights in the form that oneDNN's products want.
#pragma once

#include "prefer/tensor.hpp"

#include <span>
#include <string_view>

namespace prefer::gemm {

struct Packed {
  Tensor form;    ///< what a product takes
  Tensor memory;  ///< what it lies in, where that is ours

  bool defined() const { return form.defined(); }
};

/// oneDNN's form of matrices [out_i, in] stacked, and of the transpose of that. One type and device.
Packed pack(std::span<const Tensor> stacked);
Packed pack_transposed(std::span<const Tensor> stacked);
inline Packed pack(const Tensor& weight) { return pack({&weight, 1}); }
inline Packed pack_transposed(const Tensor& weight) { return pack_transposed({&weight, 1}); }

/// The same by oneDNN itself: what the others are held to.
Packed pack_by_library(const Tensor& weight);
/// The bytes of a form, for tests.
std::string_view bytes_of(const Packed& packed);

}  // namespace prefer::gemm
