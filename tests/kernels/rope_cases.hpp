// rope's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/rope/rope.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::rope {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, heads, dim, stride;
  int sign = 1;
  double scale = 1;  // of x
};

inline const Case kCases[] = {{0, 2, 4, 8},     {1, 1, 2, 2},      {3, 1, 6, 9},    {2, 3, 30, 90, -1},
                              {2, 2, 32, 64},   {2, 5, 34, 200},   {3, 9, 64, 960}, {2, 2, 126, 252, -1},
                              {2, 1, 130, 130}, {33, 2, 128, 256}, {2, 0, 64, 64},  {3, 2, 66, 140, 1, 1e30}};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    x = normals<T>(c.rows * c.stride, 1, c.scale);
    y = x;
    for (std::int64_t i = 0; i < c.rows; ++i) position.push_back(i * 37 % 101);
    tables = make_tables<Wide<T>>(inverse_frequencies({.dim = c.dim}), 101);
  }
  Forward<T> args(Isa isa = best_isa()) {
    Forward<T> a;
    a.x = x.data(), a.y = y.data();
    a.rows = shape.rows, a.heads = shape.heads, a.dim = shape.dim;
    a.x_stride = a.y_stride = shape.stride;
    a.position = position.data(), a.positions = 101;
    a.cos = tables.cos.data(), a.sin = tables.sin.data();
    a.sign = shape.sign;
    a.isa = isa;
    return a;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(x), f(y), f(position), f(tables.cos), f(tables.sin);
  }

  Case shape;
  std::vector<T> x, y;
  std::vector<std::int64_t> position;
  Tables<Wide<T>> tables;
};

template <class T>
class Rope : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.heads << ", " << c.dim << "]");
      Data<T> data(c), expected(c);
      reference::forward(expected.args());
      twin(data);
      for (std::size_t i = 0; i < expected.y.size(); ++i) {
        const double allowed =
            tolerance<float>(2) * 6 * c.scale + tolerance<T>(1) * std::abs(widen(expected.y[i]));
        ASSERT_TRUE(near(widen(data.y[i]), widen(expected.y[i]), allowed)) << i;
      }
    }
  }
};

}  // namespace prefer::kernels::rope
