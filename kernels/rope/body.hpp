// What the twins of rope share: the checks, and a pair's rotation (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/rope/rope.hpp"

#include <cmath>

namespace prefer::kernels::rope {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.heads >= 0 && a.dim >= 2 && a.dim % 2 == 0, "rope wants an even dim of at least 2",
          "rows", a.rows, "heads", a.heads, "dim", a.dim);
  require(a.x_stride >= a.heads * a.dim && a.y_stride >= a.heads * a.dim,
          "rope wants strides of at least heads * dim", "x_stride", a.x_stride, "y_stride", a.y_stride,
          "heads", a.heads, "dim", a.dim);
  require(a.sign == 1 || a.sign == -1, "rope wants sign 1 or -1", "sign", a.sign);
  require(a.rows == 0 || (a.x && a.position && a.cos && a.sin && a.y),
          "rope wants x, position, cos, sin and y", "x", a.x, "position", a.position, "cos", a.cos, "sin",
          a.sin, "y", a.y);
  require(a.x != a.y || a.x_stride == a.y_stride, "rope in place wants equal strides", "x_stride", a.x_stride,
          "y_stride", a.y_stride);
}

/// Pair i of a head.
template <class T>
PREFER_HOST_DEVICE void rotate_pair(const Forward<T>& a, std::int64_t row, std::int64_t head,
                                    std::int64_t i) {
  using W = Wide<T>;
  const std::int64_t half = a.dim / 2;
  const std::int64_t p = a.position[row];
  const bool known = p >= 0 && p < a.positions;
  const W c = known ? a.cos[p * half + i] : static_cast<W>(NAN);
  const W s = known ? static_cast<W>(a.sign) * a.sin[p * half + i] : static_cast<W>(NAN);
  const T* x = a.x + row * a.x_stride + head * a.dim;
  T* y = a.y + row * a.y_stride + head * a.dim;
  const W first = widen(x[i]), second = widen(x[i + half]);
  y[i] = narrow<T>(first * c - second * s);
  y[i + half] = narrow<T>(second * c + first * s);
}

}  // namespace prefer::kernels::rope
