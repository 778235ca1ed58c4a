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

/// What every element of a row's gradient needs.
struct RowGradient {
  float scale, policy_lse, reference_lse, kl, upstream;
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/kl/kl.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.label) require_within(a.label, a.rows, a.vocab, "label");
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const auto scaled = [&](const T* logits) {
      return static_cast<double>(a.inv_temperature) * widen(*logits);
    };
    const auto log_sum = [&](const T* logits) {
      double largest = -INFINITY, sum = 0;
      for (std::int64_t j = 0; j < a.vocab; ++j) largest = std::max(largest, scaled(logits + j));
      for (std::int64_t j = 0; j < a.vocab; ++j) sum += std::exp(scaled(logits + j) - largest);
      return largest + std::log(sum);
    };
    const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
    const double policy = log_sum(x), reference = log_sum(y);
    double kl = 0;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double logp = scaled(x + j) - policy, logq = scaled(y + j) - reference, p = std::exp(logp);
      if (p != 0) kl += p * (logp - logq);
    }
    a.kl[row] = static_cast<Wide<T>>(kl);
    a.policy_lse[row] = static_cast<Wide<T>>(policy);
    a.reference_lse[row] = static_cast<Wide<T>>(reference);
    if (!a.label) continue;
    a.policy_logp[row] = static_cast<Wide<T>>(scaled(x + a.label[row]) - policy);
    a.reference_logp[row] = static_cast<Wide<T>>(scaled(y + a.label[row]) - reference);
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const double scale = a.inv_temperature;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double logp = scale * widen(a.policy[row * a.policy_stride + j]) - a.policy_lse[row];
      const double logq = scale * widen(a.reference[row * a.reference_stride + j]) - a.reference_lse[row];
      const double p = std::exp(logp);
      const double slope = p == 0 ? 0 : scale * p * (logp - logq - a.kl[row]);
      a.grad[row * a.grad_stride + j] = narrow<T>(a.grad_kl[row] * slope);
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
  if (a.label) require_within(a.label, a.rows, a.vocab, "label");
  const auto sums_of = choose(a.isa, portable::row_sums<T>, avx2::row_sums<T>, avx512::row_sums<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
    const RowSums sums = sums_of(x, y, a.vocab, a.inv_temperature);
    const double policy = std::log(sums.policy), reference = std::log(sums.reference);
    a.kl[row] = static_cast<float>(sums.weighted / sums.policy - policy + reference);
    a.policy_lse[row] = static_cast<float>(sums.policy_max + policy);
    a.reference_lse[row] = static_cast<float>(sums.reference_max + reference);
    if (!a.label) continue;
    const auto logp = [&](const T* z, float max, double log_sum) {
      return static_cast<float>(a.inv_temperature * widen(z[a.label[row]]) - max - log_sum);
    };
    a.policy_logp[row] = logp(x, sums.policy_max, policy);
    a.reference_logp[row] = logp(y, sums.reference_max, reference);
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  const auto gradient =
      choose(a.isa, portable::gradient_row<T>, avx2::gradient_row<T>, avx512::gradient_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    gradient(a.policy + row * a.policy_stride, a.reference + row * a.reference_stride,
             a.grad + row * a.grad_stride, a.vocab,
             {a.inv_temperature, a.policy_lse[row], a.reference_lse[row], a.kl[row],
              a.inv_temperature * a.grad_kl[row]});
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::kl
