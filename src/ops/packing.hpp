// Weights in the form that oneDNN's products want.
#pragma once

#include "prefer/tensor.hpp"

#include <optional>
#include <span>
#include <string_view>

namespace prefer::gemm {

struct Packed {
  Tensor form;                          ///< what a product takes
  Tensor memory;                        ///< what it lies in, where that is ours
  int threads = at::get_num_threads();  ///< that it was packed for: the library's form may go by them

  bool defined() const { return form.defined(); }
};

/// oneDNN's form of matrices [out_i, in] stacked, and of the transpose of that. One type and device.
Packed pack(std::span<const Tensor> stacked);
Packed pack_transposed(std::span<const Tensor> stacked);
inline Packed pack(const Tensor& weight) { return pack({&weight, 1}); }
inline Packed pack_transposed(const Tensor& weight) { return pack_transposed({&weight, 1}); }

/// Where oneDNN's form of a shape is panels of `height` rows, each padded to `width` elements: pairs (of one
/// float: single ones) of a row, side by side with those of the panel's other rows. Found out once, by
/// packing a matrix.
struct PanelForm {
  int64_t height, width;
};
std::optional<PanelForm> panel_form(at::ScalarType type, int64_t rows, int64_t columns);

/// The same by oneDNN itself: what the others are held to.
Packed pack_by_library(const Tensor& weight);
/// The bytes of a form, for tests.
std::string_view bytes_of(const Packed& packed);

}  // namespace prefer::gemm
