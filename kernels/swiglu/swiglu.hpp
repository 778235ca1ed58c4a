// SwiGLU's activation, h = silu(gate) * up, and its gradient, which computes silu again instead of keeping
// it.
//
// With a = gate, b = up, sigma = 1 / (1 + exp(-a)), silu = a sigma (rounded to T before the product, as
// transformers does):   h = silu b;   dup = dh silu;   dgate = dh b sigma (1 + a (1 - sigma)). Source:
// Shazeer, 2020, arXiv:2002.05202, equation 6.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::swiglu {

template <class T>
struct Forward {
  const T* gate = nullptr;  // [rows, width], rows `gate_stride` elements apart
  const T* up = nullptr;    // [rows, width], rows `up_stride` apart
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t gate_stride = 0;
  std::int64_t up_stride = 0;
  T* h = nullptr;          // [rows, width], contiguous; may be gate or up where that is contiguous
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

template <class T>
struct Backward {
  const T* gate = nullptr;  // as in Forward
  const T* up = nullptr;
  std::int64_t rows = 0;
  std::int64_t width = 0;
  std::int64_t gate_stride = 0;  // of gate and of dgate
  std::int64_t up_stride = 0;    // of up and of dup
  const T* dh = nullptr;         // [rows, width], contiguous
  T* dgate = nullptr;            // [rows, width], rows `gate_stride` apart; may be gate
  T* dup = nullptr;              // [rows, width], rows `up_stride` apart; may be up
  Isa isa = best_isa();          // read by the cpu twin alone
  void* stream = nullptr;        // cudaStream_t, read by the cuda twin alone
};

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

}  // namespace prefer::kernels::swiglu
