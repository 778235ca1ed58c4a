// Reference and CPU twins of adamw.
#include "kernels/adamw/adamw.hpp"

#include "kernels/adamw/body.hpp"
#include "kernels/vector.hpp"

#include <algorithm>
#include <cmath>

namespace prefer::kernels::adamw {

#define PREFER_KERNEL_BODY "kernels/adamw/adamw.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Step<T>& a) {
  check(a);
  const double correction1 = 1 - std::pow(a.beta1, static_cast<double>(a.step));
  const double correction2 = 1 - std::pow(a.beta2, static_cast<double>(a.step));
  for (std::int64_t i = 0; i < a.size; ++i) {
    const double g = a.grad_scale * a.grad[i];
    const double m = a.beta1 * a.m[i] + (1 - a.beta1) * g;
    const double v = a.beta2 * a.v[i] + (1 - a.beta2) * g * g;
    const double direction = m / correction1 / (std::sqrt(v / correction2) + a.eps);
    const double p = a.param[i] * (1 - a.learning_rate * a.weight_decay) - a.learning_rate * direction;
    a.param[i] = static_cast<T>(p);
    a.m[i] = static_cast<T>(m);
    a.v[i] = static_cast<T>(v);
    if (a.copy) a.copy[i] = narrow<bf16>(a.param[i]);
  }
}

template void forward(const Step<float>&);
template void forward(const Step<double>&);

}  // namespace reference

namespace cpu {

template <class T>
void forward(const Step<T>& a) {
  check(a);
  constexpr std::int64_t kStretch = 16384;
  const Factors f = factors(a);
  const auto update = choose(a.isa, portable::update_range, avx2::update_range, avx512::update_range);
  const std::int64_t stretches = (a.size + kStretch - 1) / kStretch;
#pragma omp parallel for schedule(static) if (stretches > 1)
  for (std::int64_t k = 0; k < stretches; ++k) {
    update(a, f, k * kStretch, std::min(a.size, (k + 1) * kStretch));
  }
}

template void forward(const Step<float>&);

}  // namespace cpu
}  // namespace prefer::kernels::adamw
