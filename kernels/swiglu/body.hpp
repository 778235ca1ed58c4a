// What the twins of swiglu share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/swiglu/swiglu.hpp"

#include <cmath>

namespace prefer::kernels::swiglu {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "swiglu wants rows >= 0 and width >= 1", "rows", a.rows, "width",
          a.width);
  require(a.gate_stride >= a.width && a.up_stride >= a.width, "swiglu wants strides of at least width",
          "gate_stride", a.gate_stride, "up_stride", a.up_stride, "width", a.width);
  require(a.rows == 0 || (a.gate && a.up && a.h), "swiglu wants gate, up and h", "gate", a.gate, "up", a.up,
          "h", a.h);
  require((a.h != a.gate || a.gate_stride == a.width) && (a.h != a.up || a.up_stride == a.width),
          "swiglu in place wants contiguous rows", "gate_stride", a.gate_stride, "up_stride", a.up_stride,
          "width", a.width);
}

template <class T>
void check(const Backward<T>& a) {
  require(a.rows >= 0 && a.width >= 1, "swiglu's backward wants rows >= 0 and width >= 1", "rows", a.rows,
          "width", a.width);
  require(a.gate_stride >= a.width && a.up_stride >= a.width,
          "swiglu's backward wants strides of at least width", "gate_stride", a.gate_stride, "up_stride",
          a.up_stride, "width", a.width);
  require(a.rows == 0 || (a.gate && a.up && a.dh && a.dgate && a.dup),
          "swiglu's backward wants gate, up, dh, dgate and dup", "gate", a.gate, "up", a.up, "dh", a.dh,
          "dgate", a.dgate, "dup", a.dup);
}

template <class T>
PREFER_HOST_DEVICE T activation(T gate_, T up) {
  const Wide<T> gate = widen(gate_);
  const T silu = narrow<T>(gate / (1 + std::exp(-gate)));
  return narrow<T>(widen(silu) * widen(up));
}

template <class T>
struct Gradient {
  T gate, up;
};
template <class T>
PREFER_HOST_DEVICE Gradient<T> gradient(T gate_, T up, T dh_) {
  using W = Wide<T>;
  const W gate = widen(gate_), dh = widen(dh_);
  const W sigma = 1 / (1 + std::exp(-gate));
  return {narrow<T>(dh * widen(up) * sigma * (1 + gate * (1 - sigma))),
          narrow<T>(dh * widen(narrow<T>(gate * sigma)))};
}

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  const T *gate = a.gate + row * a.gate_stride, *up = a.up + row * a.up_stride;
  T* h = a.h + row * a.width;
  const auto one = [&](std::int64_t i) { h[i] = activation(gate[i], up[i]); };
  const auto pack = [&](std::int64_t i) {
    Pack<T> gates = load_pack(gate + i);
    const Pack<T> ups = load_pack(up + i);
    for (int j = 0; j < Pack<T>::kSize; ++j) gates.at[j] = activation(gates.at[j], ups.at[j]);
    store_pack(h + i, gates);
  };
  for_packs(gate, alike<T>(gate, up) && alike<T>(gate, h), a.width, group, one, pack);
}

template <class T, class Group>
PREFER_HOST_DEVICE void backward_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  const std::int64_t at_gate = row * a.gate_stride, at_up = row * a.up_stride;
  const T *gate = a.gate + at_gate, *up = a.up + at_up, *dh = a.dh + row * a.width;
  T *dgate = a.dgate + at_gate, *dup = a.dup + at_up;
  const auto one = [&](std::int64_t i) {
    const Gradient<T> d = gradient(gate[i], up[i], dh[i]);
    dgate[i] = d.gate, dup[i] = d.up;
  };
  const auto pack = [&](std::int64_t i) {
    Pack<T> gates = load_pack(gate + i), ups = load_pack(up + i);
    const Pack<T> dhs = load_pack(dh + i);
    for (int j = 0; j < Pack<T>::kSize; ++j) {
      const Gradient<T> d = gradient(gates.at[j], ups.at[j], dhs.at[j]);
      gates.at[j] = d.gate, ups.at[j] = d.up;
    }
    store_pack(dgate + i, gates), store_pack(dup + i, ups);
  };
  const bool together =
      alike<T>(gate, up) && alike<T>(gate, dh) && alike<T>(gate, dgate) && alike<T>(gate, dup);
  for_packs(gate, together, a.width, group, one, pack);
}

}  // namespace prefer::kernels::swiglu
