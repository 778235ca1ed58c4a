// Reference and CPU twins of scale.
#include "kernels/scale/scale.hpp"

#include "kernels/scale/body.hpp"
#include "kernels/vector.hpp"

namespace prefer::kernels::scale {

#define PREFER_KERNEL_BODY "kernels/scale/scale.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t j = 0; j < a.width; ++j) {
      const double x = widen(a.x[row * a.x_stride + j]);
      a.y[row * a.width + j] = narrow<T>(a.factor * x);
    }
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void forward(const Forward<double>&);

}  // namespace reference

namespace cpu {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  const auto scale = choose(a.isa, portable::scale_row<T>, avx2::scale_row<T>, avx512::scale_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row)
    scale(a.x + row * a.x_stride, a.y + row * a.width, a.factor, a.width);
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::scale
