// norm's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/norm/norm.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::norm {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, width, stride;
  bool residual = false, dsum = false;
  double scale = 1;  // of x
};

inline const Case kCases[] = {
    {0, 5, 5},
    {1, 1, 1},
    {2, 31, 31, true},
    {3, 33, 40, true, true},
    {5, 63, 63, false, true},
    {63, 64, 64},
    {64, 65, 65, true},
    {65, 127, 130, true},
    {129, 129, 129},
    {2, 576, 576, true, true},
    {3, 4096, 4100},
    {2, 32003, 32003},
    {2, 300, 300, false, false, 1e4},
    {2, 300, 300, true, true, 1e15},
    {2, 300, 300, true, true, 1e-6},
};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    const std::int64_t flat = c.rows * c.width;
    x = normals<T>(c.rows * c.stride, 1, c.scale);
    residual = normals<T>(flat, 2, c.scale);
    weight = normals<T>(c.width, 3);
    dy = normals<T>(flat, 4);
    dsum = normals<T>(flat, 5);
    sum = y = dx = std::vector<T>(static_cast<std::size_t>(flat));
    rstd.resize(static_cast<std::size_t>(c.rows));
    dweight.resize(static_cast<std::size_t>(c.width));
  }
  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a;
    a.x = x.data(), a.weight = weight.data();
    a.rows = shape.rows, a.width = shape.width, a.x_stride = shape.stride;
    if (shape.residual) a.residual = residual.data(), a.sum = sum.data();
    a.y = y.data(), a.rstd = rstd.data();
    a.isa = isa;
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a;
    a.x = shape.residual ? sum.data() : x.data();
    a.x_stride = shape.residual ? shape.width : shape.stride;
    a.weight = weight.data(), a.rstd = rstd.data(), a.dy = dy.data();
    if (shape.dsum) a.dsum = dsum.data();
    a.rows = shape.rows, a.width = shape.width;
    a.dx = dx.data(), a.dweight = dweight.data();
    a.isa = isa;
    return a;
  }

  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(x), f(residual), f(weight), f(dy), f(dsum), f(sum), f(y), f(dx), f(rstd), f(dweight);
  }

  Case shape;
  std::vector<T> x, residual, weight, dy, dsum, sum, y, dx;
  std::vector<Wide<T>> rstd, dweight;
};

template <class T>
double largest(const std::vector<T>& values) {
  double result = 0;
  for (const T& v : values) result = std::max(result, std::abs(static_cast<double>(widen(v))));
  return result;
}

template <class T>
void expect_near(const std::vector<T>& actual, const std::vector<T>& expected, double allowed,
                 const char* what) {
  for (std::size_t i = 0; i < expected.size(); ++i) {
    ASSERT_TRUE(near(widen(actual[i]), widen(expected[i]), allowed)) << what << " " << i;
  }
}

template <class T>
class Norm : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << type_name<T>() << " [" << c.rows << ", " << c.width << "]");
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      reference::backward(expected.backward());
      twin(data);
      EXPECT_TRUE(same_bits(data.sum, expected.sum));
      const double one = tolerance<T>(c.width), single = tolerance<float>(c.width);
      expect_near(data.y, expected.y, one * largest(expected.y), "y");
      expect_near(data.rstd, expected.rstd, single * largest(expected.rstd), "rstd");
      expect_near(data.dx, expected.dx, one * (largest(expected.dx) + largest(expected.dsum)), "dx");
      // A bf16 n may round the other way where rstd differs in its last bit.
      const double flips = std::is_same_v<T, bf16> ? 0x1p-8 * largest(expected.dy) * largest(expected.y) : 0;
      expect_near(data.dweight, expected.dweight,
                  flips + tolerance<float>(c.rows) * 4 * (largest(expected.dweight) + 1), "dweight");
    }
  }
};

}  // namespace prefer::kernels::norm
