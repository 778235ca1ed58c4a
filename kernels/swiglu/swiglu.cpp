// Reference and CPU twins of swiglu.
#include "kernels/swiglu/swiglu.hpp"

#include "kernels/swiglu/body.hpp"
#include "kernels/vector.hpp"

#include <cmath>

namespace prefer::kernels::swiglu {
namespace {

/// One row of everything that the backward reads and writes.
template <class T>
struct Rows {
  const T* gate;
  const T* up;
  const T* dh;
  T* dgate;
  T* dup;
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/swiglu/swiglu.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t i = 0; i < a.width; ++i) {
      const double gate = widen(a.gate[row * a.gate_stride + i]);
      const double silu = widen(narrow<T>(gate / (1 + std::exp(-gate))));
      a.h[row * a.width + i] = narrow<T>(silu * widen(a.up[row * a.up_stride + i]));
    }
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t i = 0; i < a.width; ++i) {
      const double gate = widen(a.gate[row * a.gate_stride + i]);
      const double up = widen(a.up[row * a.up_stride + i]);
      const double dh = widen(a.dh[row * a.width + i]);
      const double sigma = 1 / (1 + std::exp(-gate));
      a.dup[row * a.up_stride + i] = narrow<T>(dh * widen(narrow<T>(gate * sigma)));
      a.dgate[row * a.gate_stride + i] = narrow<T>(dh * up * sigma * (1 + gate * (1 - sigma)));
    }
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void forward(const Forward<double>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);
template void backward(const Backward<double>&);

}  // namespace reference

namespace cpu {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  const auto activate =
      choose(a.isa, portable::activate_row<T>, avx2::activate_row<T>, avx512::activate_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    activate(a.gate + row * a.gate_stride, a.up + row * a.up_stride, a.h + row * a.width, a.width);
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  const auto gradient =
      choose(a.isa, portable::gradient_row<T>, avx2::gradient_row<T>, avx512::gradient_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const std::int64_t at_gate = row * a.gate_stride, at_up = row * a.up_stride;
    gradient({a.gate + at_gate, a.up + at_up, a.dh + row * a.width, a.dgate + at_gate, a.dup + at_up},
             a.width);
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::swiglu
