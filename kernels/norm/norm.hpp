// RMSNorm, with the residual addition before it fused in, and its gradient.
//
//   s = x + residual (rounded to T; s = x without a residual);   rstd = 1 / sqrt(mean_j s_j^2 + eps)
//   y_j = w_j * n_j,   n_j = s_j rstd, rounded to T before the product as transformers' LlamaRMSNorm does.
// With u_j = dy_j w_j:   ds_j = rstd (u_j - s_j rstd^2 mean_k(u_k s_k)) + dsum_j;   dw_j = sum_rows dy_j n_j.
// Source: Zhang, Sennrich, 2019, arXiv:1910.07467, equation 4.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::norm {

template <class T>
struct Forward {
  const T* x = nullptr;         // [rows, width], rows `x_stride` elements apart
  const T* residual = nullptr;  // [rows, width], or null
  const T* weight = nullptr;    // [width]
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t x_stride = 0;
  double eps = 1e-5;
  T* sum =
      nullptr;     // [rows, width] x + residual, needed with a residual; may be x (if contiguous) or residual
  T* y = nullptr;  // [rows, width]; may be x (if contiguous)
  Wide<T>* rstd = nullptr;  // [rows]
  Isa isa = best_isa();     // read by the cpu twin alone
  void* stream = nullptr;   // cudaStream_t, read by the cuda twin alone
};

template <class T>
struct Backward {
  const T* x =
      nullptr;  // [rows, width], rows `x_stride` apart: what was normalised (the sum, with a residual)
  const T* weight = nullptr;      // [width]
  const Wide<T>* rstd = nullptr;  // [rows], from the forward
  const T* dy = nullptr;          // [rows, width]
  const T* dsum = nullptr;        // [rows, width], or null: gradient that reaches the sum by other ways
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t x_stride = 0;
  T* dx = nullptr;             // [rows, width]: gradient of x, and of the residual; may be dy or dsum
  Wide<T>* dweight = nullptr;  // [width], overwritten, or null: not wanted
  Isa isa = best_isa();        // read by the cpu twin alone
  void* stream = nullptr;      // cudaStream_t, read by the cuda twin alone
};

/// dweight is summed over blocks of this many rows, and the blocks in order: its bits depend on no thread
/// count.
inline constexpr std::int64_t kRowBlock = 64;

// All throw std::invalid_argument for sizes or pointers that do not fit.

namespace reference {  // T: float, bf16, double; arithmetic in double
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace reference

namespace cpu {  // T: float, bf16
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cpu

namespace cuda {  // T: float, bf16; asynchronous on args.stream
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::norm
