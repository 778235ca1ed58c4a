// swiglu's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/swiglu/swiglu.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::swiglu {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, width;
  bool fused = false;  // gate and up are views of one [rows, 2 width]
  double scale = 2;    // of gate
};

inline const Case kCases[] = {{0, 3},
                              {1, 1},
                              {2, 31, true},
                              {3, 33},
                              {2, 63, true},
                              {2, 64},
                              {2, 65, true},
                              {3, 127},
                              {2, 129, true},
                              {2, 1536, true},
                              {1, 32003, true},
                              {1, 128256},
                              {2, 500, true, 60},
                              {2, 500, false, 1e4}};

/// Where exp(-gate) overflows, sigma comes out as 0 instead of something below 2^-128.
inline constexpr double kBottom = 0x1p-128 * 1e4;

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c), stride(c.fused ? 2 * c.width : c.width) {
    gate = normals<T>(c.rows * stride, 1, c.scale);
    up = c.fused ? gate : normals<T>(c.rows * stride, 2);
    dh = normals<T>(c.rows * c.width, 3);
    h = dh;
    dgate = dup = gate;
  }
  const T* up_data() const { return shape.fused ? gate.data() + shape.width : up.data(); }
  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a;
    a.gate = gate.data(), a.up = up_data();
    a.rows = shape.rows, a.width = shape.width;
    a.gate_stride = a.up_stride = stride;
    a.h = h.data();
    a.isa = isa;
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a;
    a.gate = gate.data(), a.up = up_data(), a.dh = dh.data();
    a.rows = shape.rows, a.width = shape.width;
    a.gate_stride = a.up_stride = stride;
    a.dgate = dgate.data(), a.dup = dup.data();
    a.isa = isa;
    return a;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(gate), f(up), f(dh), f(h), f(dgate), f(dup);
  }

  Case shape;
  std::int64_t stride;
  std::vector<T> gate, up, dh, h, dgate, dup;
};

template <class T>
class Swiglu : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.width << "] " << c.scale);
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      reference::backward(expected.backward());
      twin(data);
      for (std::size_t i = 0; i < data.gate.size(); ++i) {
        const auto allowed = [&](T value) { return 2 * tolerance<T>(1) * std::abs(widen(value)) + kBottom; };
        if (i < data.h.size()) {
          ASSERT_TRUE(near(widen(data.h[i]), widen(expected.h[i]), allowed(expected.h[i]))) << "h " << i;
        }
        ASSERT_TRUE(near(widen(data.dup[i]), widen(expected.dup[i]), allowed(expected.dup[i])))
            << "dup " << i;
        // 1 + gate (1 - sigma) cancels at the bottom of silu's dip, and for large gate: |dh up| (1 + |gate|)
        // bounds it.
        const std::size_t row = i / static_cast<std::size_t>(data.stride),
                          j = i % static_cast<std::size_t>(data.stride);
        if (j >= static_cast<std::size_t>(c.width)) continue;
        const double terms =
            std::abs(widen(data.dh[row * static_cast<std::size_t>(c.width) + j]) * widen(data.up_data()[i])) *
            2;
        ASSERT_TRUE(near(widen(data.dgate[i]), widen(expected.dgate[i]),
                         allowed(expected.dgate[i]) + tolerance<float>(1) * terms))
            << "dgate " << i;
      }
    }
  }
};

}  // namespace prefer::kernels::swiglu
