// Reference and CPU twins of rope, its frequencies and its tables.
#include "kernels/rope/rope.hpp"

#include "kernels/rope/body.hpp"
#include "kernels/vector.hpp"

#include <cmath>
#include <numbers>

namespace prefer::kernels::rope {

#define PREFER_KERNEL_BODY "kernels/rope/rope.inl"
#include "kernels/each_isa.inl"

namespace {

double stretched(double frequency, const Frequencies& f) {
  const double wave = 2 * std::numbers::pi / frequency;
  if (wave < f.original_context / f.high_freq_factor) return frequency;
  if (wave > f.original_context / f.low_freq_factor) return frequency / f.factor;
  const double s = (f.original_context / wave - f.low_freq_factor) / (f.high_freq_factor - f.low_freq_factor);
  return (1 - s) * frequency / f.factor + s * frequency;
}

}  // namespace

std::vector<double> inverse_frequencies(const Frequencies& f) {
  require(f.dim >= 2 && f.dim % 2 == 0, "rope wants an even dim of at least 2", "dim", f.dim);
  require(f.theta > 0, "rope wants theta > 0", "theta", f.theta);
  require(!f.llama3 || (f.factor > 0 && f.low_freq_factor > 0 && f.high_freq_factor > f.low_freq_factor &&
                        f.original_context > 0),
          "rope wants a positive factor, context and low_freq_factor, and high_freq_factor above that",
          "factor", f.factor, "context", f.original_context, "low_freq_factor", f.low_freq_factor,
          "high_freq_factor", f.high_freq_factor);
  std::vector<double> result;
  for (std::int64_t i = 0; i < f.dim / 2; ++i) {
    const double frequency = std::pow(f.theta, -2.0 * static_cast<double>(i) / static_cast<double>(f.dim));
    result.push_back(f.llama3 ? stretched(frequency, f) : frequency);
  }
  return result;
}

template <class W>
Tables<W> make_tables(const std::vector<double>& inverse_frequencies, std::int64_t positions) {
  Tables<W> tables;
  for (std::int64_t p = 0; p < positions; ++p) {
    for (const double frequency : inverse_frequencies) {
      tables.cos.push_back(static_cast<W>(std::cos(static_cast<double>(p) * frequency)));
      tables.sin.push_back(static_cast<W>(std::sin(static_cast<double>(p) * frequency)));
    }
  }
  return tables;
}
template Tables<float> make_tables(const std::vector<double>&, std::int64_t);
template Tables<double> make_tables(const std::vector<double>&, std::int64_t);

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  require_within(a.position, a.rows, a.positions, "position");
  const std::int64_t half = a.dim / 2;
  for (std::int64_t row = 0; row < a.rows; ++row) {
    for (std::int64_t head = 0; head < a.heads; ++head) {
      const T* x = a.x + row * a.x_stride + head * a.dim;
      T* y = a.y + row * a.y_stride + head * a.dim;
      for (std::int64_t i = 0; i < half; ++i) {
        const double c = a.cos[a.position[row] * half + i];
        const double s = a.sign * static_cast<double>(a.sin[a.position[row] * half + i]);
        const double first = widen(x[i]), second = widen(x[i + half]);
        y[i] = narrow<T>(first * c - second * s);
        y[i + half] = narrow<T>(second * c + first * s);
      }
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
  require_within(a.position, a.rows, a.positions, "position");
  const auto rotate = choose(a.isa, portable::rotate_head<T>, avx2::rotate_head<T>, avx512::rotate_head<T>);
  const std::int64_t half = a.dim / 2;
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const float* cos = a.cos + a.position[row] * half;
    const float* sin = a.sin + a.position[row] * half;
    for (std::int64_t head = 0; head < a.heads; ++head) {
      rotate(a.x + row * a.x_stride + head * a.dim, a.y + row * a.y_stride + head * a.dim, cos, sin,
             static_cast<float>(a.sign), half);
    }
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::rope
