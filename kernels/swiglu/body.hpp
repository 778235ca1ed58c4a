// What the twins of swiglu share: the checks, and an element's work (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/swiglu/swiglu.hpp"

#include <cmath>

namespace prefer::kernels::swiglu {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "swiglu wants rows >= 0 and width >= 1");
  require(a.gate_stride >= a.width && a.up_stride >= a.width, "swiglu wants strides of at least width");
  require(a.rows == 0 || (a.gate && a.up && a.h), "swiglu wants gate, up and h");
  require((a.h != a.gate || a.gate_stride == a.width) && (a.h != a.up || a.up_stride == a.width),
          "swiglu in place wants contiguous rows");
}

template <class T>
void check(const Backward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "swiglu's backward wants rows >= 0 and width >= 1");
  require(a.gate_stride >= a.width && a.up_stride >= a.width,
          "swiglu's backward wants strides of at least width");
  require(a.rows == 0 || (a.gate && a.up && a.dh && a.dgate && a.dup),
          "swiglu's backward wants gate, up, dh, dgate and dup");
}

template <class T>
PREFER_HOST_DEVICE void forward_element(const Forward<T>& a, std::int64_t row, std::int64_t i) {
  using W = Wide<T>;
  const W gate = widen(a.gate[row * a.gate_stride + i]);
  const T silu = narrow<T>(gate / (1 + std::exp(-gate)));
  a.h[row * a.width + i] = narrow<T>(widen(silu) * widen(a.up[row * a.up_stride + i]));
}

template <class T>
PREFER_HOST_DEVICE void backward_element(const Backward<T>& a, std::int64_t row, std::int64_t i) {
  using W = Wide<T>;
  const W gate = widen(a.gate[row * a.gate_stride + i]);
  const W up = widen(a.up[row * a.up_stride + i]);
  const W dh = widen(a.dh[row * a.width + i]);
  const W sigma = 1 / (1 + std::exp(-gate));
  a.dup[row * a.up_stride + i] = narrow<T>(dh * widen(narrow<T>(gate * sigma)));
  a.dgate[row * a.gate_stride + i] = narrow<T>(dh * up * sigma * (1 + gate * (1 - sigma)));
}

}  // namespace prefer::kernels::swiglu
