// Reference and CPU twins of token_logprob.
#include "kernels/token_logprob/token_logprob.hpp"

#include "kernels/token_logprob/body.hpp"
#include "kernels/vector.hpp"

#include <cmath>
#include <limits>
#include <numbers>

namespace prefer::kernels::token_logprob {
namespace {

/// Of the part of a row seen so far, with z2 = scale x the base-2 logarithm of a weight. In double: rows are
/// long.
struct RowSums {
  float largest = -INFINITY;  // of x
  std::int64_t argmax = 0;
  double sum = 0;       // of 2^(z2 - shift)
  double weighted = 0;  // of 2^(z2 - shift) (z2 - shift)

  float shift(float scale) const { return largest == -INFINITY ? 0.0f : scale * largest; }

  void raise(float to, float scale) {
    const double by = static_cast<double>(shift(scale)) - static_cast<double>(scale * to);
    const double factor = largest == -INFINITY ? 0 : __builtin_exp2(by);  // 0 keeps a NaN
    weighted = factor * weighted + (factor == 0 ? 0 : factor * by * sum);
    sum *= factor;
    largest = to;
  }
};

/// A row's gradient away from the label: log2 p = scale x - lse, and dx = p (slope log2 p + offset).
struct Line {
  float scale, lse, slope, offset;
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/token_logprob/token_logprob.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  require_within(a.label, a.rows, a.vocab, "label");
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* x = a.logits + row * a.stride;
    const auto z = [&](std::int64_t j) { return static_cast<double>(a.inv_temperature) * widen(x[j]); };
    std::int64_t best = 0;
    double max = -INFINITY;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      if (z(j) > max) max = z(j), best = j;
    }
    double sum = 0, weighted = 0;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double p = std::exp(z(j) - max);
      sum += p;
      if (p != 0) weighted += p * (z(j) - max);
    }
    a.lse[row] = static_cast<Wide<T>>(max + std::log(sum));
    a.logp[row] = static_cast<Wide<T>>(z(a.label[row]) - max - std::log(sum));
    if (a.entropy) a.entropy[row] = static_cast<Wide<T>>(std::log(sum) - weighted / sum);
    if (a.argmax) a.argmax[row] = best;
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* x = a.logits + row * a.stride;
    const double lse = a.lse[row], g = a.grad_logp[row];
    const double h = a.grad_entropy ? a.grad_entropy[row] : 0;
    const double mean = a.grad_entropy ? lse - a.entropy[row] : 0;
    for (std::int64_t j = 0; j < a.vocab; ++j) {
      const double z = static_cast<double>(a.inv_temperature) * widen(x[j]);
      const double p = std::exp(z - lse);
      const double pull = p == 0 ? 0 : p * (g + h * (z - mean));
      const double dz = (j == a.label[row] ? g : 0) - pull;
      a.grad[row * a.grad_stride + j] = narrow<T>(a.inv_temperature * dz);
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
  require_within(a.label, a.rows, a.vocab, "label");
  const auto sums_of = choose(a.isa, portable::row_sums<T>, avx2::row_sums<T>, avx512::row_sums<T>);
  constexpr double kLn2 = std::numbers::ln2;
  const float scale = static_cast<float>(a.inv_temperature / kLn2);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* x = a.logits + row * a.stride;
    const RowSums sums = sums_of(x, a.vocab, scale, a.entropy != nullptr);
    const double max = kLn2 * sums.shift(scale);
    const double log_sum =
        sums.largest > -INFINITY ? std::log(sums.sum) : std::numeric_limits<double>::quiet_NaN();
    const double z = kLn2 * scale * widen(x[a.label[row]]);
    a.lse[row] = static_cast<float>(max + log_sum);
    a.logp[row] = static_cast<float>(z - max - log_sum);
    if (a.entropy) a.entropy[row] = static_cast<float>(log_sum - kLn2 * sums.weighted / sums.sum);
    if (a.argmax) a.argmax[row] = sums.argmax;
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  const auto gradient_of =
      choose(a.isa, portable::row_gradient<T>, avx2::row_gradient<T>, avx512::row_gradient<T>);
  constexpr float kLog2E = std::numbers::log2e_v<float>;
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* x = a.logits + row * a.stride;
    T* dx = a.grad + row * a.grad_stride;
    const float lse = a.lse[row], g = a.grad_logp[row];
    const float h = a.grad_entropy ? a.grad_entropy[row] : 0.0f;
    const float entropy = a.grad_entropy ? a.entropy[row] : 0.0f;
    const float scale = a.inv_temperature;
    const std::int64_t y = a.label[row];
    const bool here = y >= 0 && y < a.vocab;
    const float at_label = here ? widen(x[y]) : 0.0f;  // x may be dx
    gradient_of(x, dx, a.vocab,
                {scale * kLog2E, lse * kLog2E, -scale * h / kLog2E, -scale * (g + h * entropy)});
    if (here) dx[y] = narrow<T>(RowGradient<float>{scale, lse, lse - entropy, g, h}.label(at_label));
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::token_logprob
