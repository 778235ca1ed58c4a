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
  float scale, policy_lse, reference_lse, kl, upstream, of_label;
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
      double gradient = p == 0 ? 0 : a.grad_kl[row] * scale * p * (logp - logq - a.kl[row]);
      if (a.grad_policy_logp) gradient += a.grad_policy_logp[row] * scale * ((j == a.label[row]) - p);
      a.grad[row * a.grad_stride + j] = narrow<T>(gradient);
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
  if (a.grad_policy_logp) require_within(a.label, a.rows, a.vocab, "label");
  const auto gradient =
      choose(a.isa, portable::gradient_row<T>, avx2::gradient_row<T>, avx512::gradient_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
    T* dx = a.grad + row * a.grad_stride;
    const float scale = a.inv_temperature;
    RowGradient of{scale, a.policy_lse[row], a.reference_lse[row], a.kl[row], scale * a.grad_kl[row], 0};
    if (a.grad_policy_logp) of.of_label = scale * a.grad_policy_logp[row];
    float at_label = 0;
    if (a.grad_policy_logp) {  // before the row is written, which may be the policy's
      const float logp = scale * widen(x[a.label[row]]) - of.policy_lse,
                  logq = scale * widen(y[a.label[row]]) - of.reference_lse, p = std::exp(logp);
      at_label = (p == 0 ? 0 : of.upstream * p * (logp - logq - of.kl)) + of.of_label * (1 - p);
    }
    gradient(x, y, dx, a.vocab, of);
    if (a.grad_policy_logp) dx[a.label[row]] = narrow<T>(at_label);
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::kl
