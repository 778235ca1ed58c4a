// A kernel to copy: y = factor * x. State the formula and its source here, once, and replace `scale`. (Built
// by the tests alone.)
//
//   y_j = factor * x_j;   backward: dx_j = factor * dy_j, which is the same function.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::scale {

/// Shapes and units stand beside each field; what may alias, and what a null pointer means.
template <class T>
struct Forward {
  const T* x = nullptr;  // [rows, width], rows `x_stride` elements apart
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t x_stride = 0;
  Wide<T> factor = 1;
  T* y = nullptr;          // [rows, width], contiguous; may be x where that is contiguous
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes or pointers that do not fit.

namespace reference {  // T: float, bf16, double; arithmetic in double
template <class T>
void forward(const Forward<T>& args);
}  // namespace reference

namespace cpu {  // T: float, bf16
template <class T>
void forward(const Forward<T>& args);
}  // namespace cpu

namespace cuda {  // T: float, bf16; asynchronous on args.stream
template <class T>
void forward(const Forward<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::scale
