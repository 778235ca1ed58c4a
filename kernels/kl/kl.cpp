// Reference and CPU twins of kl.
#include "kernels/kl/kl.hpp"

#include "kernels/kl/body.hpp"
#include "kernels/vector.hpp"

#include <cmath>

namespace prefer::kernels::kl {
namespace {

/// What a row comes down to; see Online in body.hpp.
struct RowSums {
  float policy_max = 0, reference_max = 0;
  double policy = 0, reference = 0, weighted = 0;
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/kl/kl.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Divergence<T>& a) {
  check(a);
  if (a.label) require_within(a.label, a.rows, a.vocab, "label");
  const double scale = a.inv_temperature;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
    const auto log_sum = [&](const T* logits) {
      double largest = -INFINITY, sum = 0;
      for (std::int64_t j = 0; j < a.vocab; ++j) largest = std::max(largest, scale * widen(logits[j]));
      for (std::int64_t j = 0; j < a.vocab; ++j) sum += std::exp(scale * widen(logits[j]) - largest);
      return largest + std::log(sum);
    };
    const double policy = log_sum(x), reference = log_sum(y);
    const auto logp = [&](std::int64_t j) { return scale * widen(x[j]) - policy; };
    const auto logq = [&](std::int64_t j) { return scale * widen(y[j]) - reference; };
    double kl = 0;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double p = std::exp(logp(j));
      if (p != 0) kl += p * (logp(j) - logq(j));
    }
    const double log_ratio = a.label ? logp(a.label[row]) - logq(a.label[row]) : 0;
    write_values(a, row, kl, log_ratio);
    if (!a.grad) continue;
    const double of_kl = a.grad_kl ? a.grad_kl[row] : 0, of_label = label_upstream(a, row, log_ratio);
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double p = std::exp(logp(j));
      double gradient = p == 0 ? 0 : p * (of_kl * (logp(j) - logq(j) - kl) - of_label);
      if (a.label && j == a.label[row]) gradient += of_label;
      a.grad[row * a.grad_stride + j] = narrow<T>(scale * gradient);
    }
  }
}

template void forward(const Divergence<float>&);
template void forward(const Divergence<bf16>&);
template void forward(const Divergence<double>&);

}  // namespace reference

namespace cpu {

template <class T>
void forward(const Divergence<T>& a) {
  check(a);
  if (a.label) require_within(a.label, a.rows, a.vocab, "label");
  const auto sums_of = choose(a.isa, portable::row_sums<T>, avx2::row_sums<T>, avx512::row_sums<T>);
  const auto gradient =
      choose(a.isa, portable::gradient_row<T>, avx2::gradient_row<T>, avx512::gradient_row<T>);
  const float scale = a.inv_temperature;
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
    const RowSums sums = sums_of(x, y, a.vocab, scale);
    const double policy = std::log(sums.policy), reference = std::log(sums.reference);
    const double kl = sums.weighted / sums.policy - policy + reference;
    const float at_x = a.label ? widen(x[a.label[row]]) : 0, at_y = a.label ? widen(y[a.label[row]]) : 0;
    const double log_ratio =
        (scale * at_x - sums.policy_max - policy) - (scale * at_y - sums.reference_max - reference);
    write_values(a, row, kl, log_ratio);
    if (!a.grad) continue;
    const RowGradient<float> of{scale,
                                static_cast<float>(sums.policy_max + policy),
                                static_cast<float>(sums.reference_max + reference),
                                static_cast<float>(kl),
                                a.grad_kl ? scale * a.grad_kl[row] : 0,
                                static_cast<float>(scale * label_upstream(a, row, log_ratio))};
    T* dx = a.grad + row * a.grad_stride;
    gradient(x, y, dx, a.vocab, of);
    if (a.label) dx[a.label[row]] = narrow<T>(of.label(at_x, at_y));
  }
}

template void forward(const Divergence<float>&);
template void forward(const Divergence<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::kl
