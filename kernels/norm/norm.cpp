// Reference and CPU twins of norm.
#include "kernels/norm/norm.hpp"

#include "kernels/norm/body.hpp"
#include "kernels/vector.hpp"

#include <algorithm>
#include <cmath>
#include <vector>

namespace prefer::kernels::norm {

#define PREFER_KERNEL_BODY "kernels/norm/norm.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    std::vector<double> s(static_cast<std::size_t>(a.width));
    double squares = 0;
    for (std::int64_t j = 0; j < a.width; ++j) {
      double& v = s[static_cast<std::size_t>(j)];
      v = widen(a.x[row * a.x_stride + j]);
      if (a.residual) {
        const T sum = narrow<T>(v + static_cast<double>(widen(a.residual[row * a.width + j])));
        a.sum[row * a.width + j] = sum;
        v = widen(sum);
      }
      squares += v * v;
    }
    const double rstd = 1 / std::sqrt(squares / static_cast<double>(a.width) + a.eps);
    a.rstd[row] = static_cast<Wide<T>>(rstd);
    for (std::int64_t j = 0; j < a.width; ++j) {
      const double n = widen(narrow<T>(s[static_cast<std::size_t>(j)] * rstd));
      a.y[row * a.width + j] = narrow<T>(widen(a.weight[j]) * n);
    }
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  std::vector<double> dweight(static_cast<std::size_t>(a.width));
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const auto s = [&](std::int64_t j) { return static_cast<double>(widen(a.x[row * a.x_stride + j])); };
    const auto dy = [&](std::int64_t j) { return static_cast<double>(widen(a.dy[row * a.width + j])); };
    const double rstd = a.rstd[row];
    double dot = 0;
    for (std::int64_t j = 0; j < a.width; ++j) {
      dot += dy(j) * widen(a.weight[j]) * s(j);
      dweight[static_cast<std::size_t>(j)] += dy(j) * widen(narrow<T>(s(j) * rstd));
    }
    const double pull = dot * rstd * rstd / static_cast<double>(a.width);
    for (std::int64_t j = 0; j < a.width; ++j) {
      const double through = a.dsum ? static_cast<double>(widen(a.dsum[row * a.width + j])) : 0;
      a.dx[row * a.width + j] = narrow<T>(rstd * (dy(j) * widen(a.weight[j]) - s(j) * pull) + through);
    }
  }
  if (a.dweight) {
    std::transform(dweight.begin(), dweight.end(), a.dweight,
                   [](double v) { return static_cast<Wide<T>>(v); });
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
  const auto squares_of =
      choose(a.isa, portable::sum_squares<T>, avx2::sum_squares<T>, avx512::sum_squares<T>);
  const auto scale = choose(a.isa, portable::scale_row<T>, avx2::scale_row<T>, avx512::scale_row<T>);
#pragma omp parallel for schedule(static) if (a.rows > 1)
  for (std::int64_t row = 0; row < a.rows; ++row) {
    const T* x = a.x + row * a.x_stride;
    T* sum = a.residual ? a.sum + row * a.width : nullptr;
    const T* residual = a.residual ? a.residual + row * a.width : nullptr;
    const double squares = squares_of(x, residual, sum, a.width);
    a.rstd[row] = static_cast<float>(1 / std::sqrt(squares / static_cast<double>(a.width) + a.eps));
    scale(sum ? sum : x, a.weight, a.rstd[row], a.y + row * a.width, a.width);
  }
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  const auto sums =
      choose(a.isa, portable::gradient_sums<T>, avx2::gradient_sums<T>, avx512::gradient_sums<T>);
  const auto gradient =
      choose(a.isa, portable::gradient_row<T>, avx2::gradient_row<T>, avx512::gradient_row<T>);
  const std::int64_t blocks = row_blocks(a.rows);
  std::vector<float> parts(a.dweight ? static_cast<std::size_t>(blocks * a.width) : 0);
#pragma omp parallel for schedule(static) if (blocks > 1)
  for (std::int64_t block = 0; block < blocks; ++block) {
    float* part = a.dweight ? parts.data() + block * a.width : nullptr;
    const std::int64_t end = std::min(a.rows, (block + 1) * kRowBlock);
    for (std::int64_t row = block * kRowBlock; row < end; ++row) {
      const float rstd = a.rstd[row];
      const T* s = a.x + row * a.x_stride;
      const float dot = sums(s, a.weight, a.dy + row * a.width, rstd, part, a.width);
      gradient(a, row, dot * rstd * rstd / static_cast<float>(a.width));
    }
  }
  if (!a.dweight) return;
  for (std::int64_t j = 0; j < a.width; ++j) a.dweight[j] = dweight_total(parts.data(), blocks, a.width, j);
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::norm
