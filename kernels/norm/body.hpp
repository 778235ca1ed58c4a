// What the twins of norm share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/norm/norm.hpp"

#include <cmath>

namespace prefer::kernels::norm {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "norm wants rows >= 0 and width >= 1");
  require(a.x_stride >= a.width, "norm wants x_stride of at least width");
  require(a.eps >= 0, "norm wants eps >= 0");
  require(a.rows == 0 || (a.x && a.weight && a.y && a.rstd), "norm wants x, weight, y and rstd");
  require((a.residual == nullptr) == (a.sum == nullptr),
          "norm wants a residual and sum together, or neither");
  require((a.x != a.y && a.x != a.sum) || a.x_stride == a.width, "norm in place wants a contiguous x");
}

template <class T>
void check(const Backward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "norm's backward wants rows >= 0 and width >= 1");
  require(a.x_stride >= a.width, "norm's backward wants x_stride of at least width");
  require(a.rows == 0 || (a.x && a.weight && a.rstd && a.dy && a.dx),
          "norm's backward wants x, weight, rstd, dy and dx");
}

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T* x = a.x + row * a.x_stride;
  const T* s = a.residual ? a.sum + row * a.width : x;
  T* y = a.y + row * a.width;
  W total = 0;
  for (std::int64_t i = group.rank(); i < a.width; i += group.size()) {
    W v = widen(x[i]);
    if (a.residual) {
      const T sum = narrow<T>(v + widen(a.residual[row * a.width + i]));
      a.sum[row * a.width + i] = sum;
      v = widen(sum);
    }
    total += v * v;
  }
  total = group.reduce(total, Plus{});
  const W rstd = 1 / std::sqrt(total / static_cast<W>(a.width) + static_cast<W>(a.eps));
  // The same thread wrote s[i] above.
  for (std::int64_t i = group.rank(); i < a.width; i += group.size()) {
    y[i] = narrow<T>(widen(a.weight[i]) * widen(narrow<T>(widen(s[i]) * rstd)));
  }
  if (group.rank() == 0) a.rstd[row] = rstd;
}

template <class T, class Group>
PREFER_HOST_DEVICE void backward_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T* s = a.x + row * a.x_stride;
  const T* dy = a.dy + row * a.width;
  const W rstd = a.rstd[row];
  W dot = 0;
  for (std::int64_t i = group.rank(); i < a.width; i += group.size()) {
    dot += widen(dy[i]) * widen(a.weight[i]) * widen(s[i]);
  }
  const W pull = group.reduce(dot, Plus{}) * rstd * rstd / static_cast<W>(a.width);
  for (std::int64_t i = group.rank(); i < a.width; i += group.size()) {
    W gradient = rstd * (widen(dy[i]) * widen(a.weight[i]) - widen(s[i]) * pull);
    if (a.dsum) gradient += widen(a.dsum[row * a.width + i]);
    a.dx[row * a.width + i] = narrow<T>(gradient);
  }
}

/// One block of rows' share of one column of dweight; to be taken before dx overwrites dy.
template <class T>
PREFER_HOST_DEVICE Wide<T> dweight_part(const Backward<T>& a, std::int64_t block, std::int64_t column) {
  const std::int64_t end = (block + 1) * kRowBlock < a.rows ? (block + 1) * kRowBlock : a.rows;
  Wide<T> sum = 0;
  for (std::int64_t row = block * kRowBlock; row < end; ++row) {
    const T n = narrow<T>(widen(a.x[row * a.x_stride + column]) * a.rstd[row]);
    sum += widen(a.dy[row * a.width + column]) * widen(n);
  }
  return sum;
}

/// The blocks' shares [blocks, width] of one column, in their order.
template <class W>
PREFER_HOST_DEVICE W dweight_total(const W* parts, std::int64_t blocks, std::int64_t width,
                                   std::int64_t column) {
  double sum = 0;
  for (std::int64_t block = 0; block < blocks; ++block) sum += parts[block * width + column];
  return static_cast<W>(sum);
}

inline std::int64_t row_blocks(std::int64_t rows) { return (rows + kRowBlock - 1) / kRowBlock; }

}  // namespace prefer::kernels::norm
