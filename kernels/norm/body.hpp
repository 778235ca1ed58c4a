// What the twins of norm share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/norm/norm.hpp"

#include <cmath>

namespace prefer::kernels::norm {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "norm wants rows >= 0 and width >= 1", "rows", a.rows, "width",
          a.width);
  require(a.x_stride >= a.width, "norm wants x_stride of at least width", "x_stride", a.x_stride, "width",
          a.width);
  require(a.eps >= 0, "norm wants eps >= 0", "eps", a.eps);
  require(a.rows == 0 || (a.x && a.weight && a.y && a.rstd), "norm wants x, weight, y and rstd", "x", a.x,
          "weight", a.weight, "y", a.y, "rstd", a.rstd);
  require((a.residual == nullptr) == (a.sum == nullptr), "norm wants a residual and sum together, or neither",
          "residual", a.residual, "sum", a.sum);
  require((a.x != a.y && a.x != a.sum) || a.x_stride == a.width, "norm in place wants a contiguous x",
          "x_stride", a.x_stride, "width", a.width);
}

template <class T>
void check(const Backward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "norm's backward wants rows >= 0 and width >= 1", "rows", a.rows,
          "width", a.width);
  require(a.x_stride >= a.width, "norm's backward wants x_stride of at least width", "x_stride", a.x_stride,
          "width", a.width);
  require(a.rows == 0 || (a.x && a.weight && a.rstd && a.dy && a.dx),
          "norm's backward wants x, weight, rstd, dy and dx", "x", a.x, "weight", a.weight, "rstd", a.rstd,
          "dy", a.dy, "dx", a.dx);
}

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const std::int64_t at = row * a.width;
  const T *x = a.x + row * a.x_stride, *residual = a.residual ? a.residual + at : nullptr;
  T *sum = a.residual ? a.sum + at : nullptr, *y = a.y + at;
  const T* s = a.residual ? sum : x;
  const bool together = alike<T>(x, residual) && alike<T>(x, sum) && alike<T>(x, y) && alike<T>(x, a.weight);
  W total = 0;
  const auto see = [&](T seen) { total += widen(seen) * widen(seen); };
  const auto add = [](T one, T other) { return narrow<T>(widen(one) + widen(other)); };
  const auto see_one = [&](std::int64_t i) {
    if (residual) sum[i] = add(x[i], residual[i]);
    see(s[i]);
  };
  const auto see_pack = [&](std::int64_t i) {
    Pack<T> seen = load_pack(x + i);
    if (residual) {
      const Pack<T> more = load_pack(residual + i);
      for (int j = 0; j < Pack<T>::kSize; ++j) seen.at[j] = add(seen.at[j], more.at[j]);
      store_pack(sum + i, seen);
    }
    for (int j = 0; j < Pack<T>::kSize; ++j) see(seen.at[j]);
  };
  for_packs(x, together, a.width, group, see_one, see_pack);
  total = group.reduce(total, Plus{});
  const W rstd = 1 / std::sqrt(total / static_cast<W>(a.width) + static_cast<W>(a.eps));
  const auto scaled = [&](T seen, T weight) {
    return narrow<T>(widen(weight) * widen(narrow<T>(widen(seen) * rstd)));
  };
  const auto scale_one = [&](std::int64_t i) { y[i] = scaled(s[i], a.weight[i]); };
  const auto scale_pack = [&](std::int64_t i) {
    Pack<T> seen = load_pack(s + i);
    const Pack<T> weight = load_pack(a.weight + i);
    for (int j = 0; j < Pack<T>::kSize; ++j) seen.at[j] = scaled(seen.at[j], weight.at[j]);
    store_pack(y + i, seen);
  };
  for_packs(x, together, a.width, group, scale_one, scale_pack);  // the same thread wrote s[i] above
  if (group.rank() == 0) a.rstd[row] = rstd;
}

template <class T, class Group>
PREFER_HOST_DEVICE void backward_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  constexpr int kSize = Pack<T>::kSize;
  const std::int64_t at = row * a.width;
  const T *s = a.x + row * a.x_stride, *dy = a.dy + at, *dsum = a.dsum ? a.dsum + at : nullptr;
  T* dx = a.dx + at;
  const bool together = alike<T>(s, dy) && alike<T>(s, dsum) && alike<T>(s, dx) && alike<T>(s, a.weight);
  const W rstd = a.rstd[row];
  W dot = 0;
  const auto see = [&](T dy_, T weight, T seen) { dot += widen(dy_) * widen(weight) * widen(seen); };
  const auto see_one = [&](std::int64_t i) { see(dy[i], a.weight[i], s[i]); };
  const auto see_pack = [&](std::int64_t i) {
    const Pack<T> dys = load_pack(dy + i), weight = load_pack(a.weight + i), seen = load_pack(s + i);
    for (int j = 0; j < kSize; ++j) see(dys.at[j], weight.at[j], seen.at[j]);
  };
  for_packs(s, together, a.width, group, see_one, see_pack);
  const W pull = group.reduce(dot, Plus{}) * rstd * rstd / static_cast<W>(a.width);
  const auto gradient = [&](T dy_, T weight, T seen, W more) {
    return narrow<T>(rstd * (widen(dy_) * widen(weight) - widen(seen) * pull) + more);
  };
  const auto write_one = [&](std::int64_t i) {
    dx[i] = gradient(dy[i], a.weight[i], s[i], dsum ? widen(dsum[i]) : W{0});
  };
  const auto write_pack = [&](std::int64_t i) {
    Pack<T> dys = load_pack(dy + i);
    const Pack<T> weight = load_pack(a.weight + i), seen = load_pack(s + i);
    const Pack<T> more = load_pack(dsum ? dsum + i : dy + i);
    for (int j = 0; j < kSize; ++j)
      dys.at[j] = gradient(dys.at[j], weight.at[j], seen.at[j], dsum ? widen(more.at[j]) : W{0});
    store_pack(dx + i, dys);
  };
  for_packs(s, together, a.width, group, write_one, write_pack);
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
