// adamw's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/adamw/adamw.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::adamw {

using namespace prefer::testing;

struct Case {
  std::int64_t size;
  double scale = 0.1;  // of gradient and moments
};

inline constexpr Case kCases[] = {{0},     {1},     {31},        {33},         {63},
                                  {64},    {65},    {1023},      {16383},      {16385},
                                  {32003}, {49152}, {500, 1e18}, {500, 1e-12}, {500, 0}};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    param = normals<T>(c.size, 1);
    grad = normals<T>(c.size, 2, c.scale);
    m = normals<T>(c.size, 3, c.scale);
    v = normals<T>(c.size, 4, c.scale);
    for (T& x : v) x *= x;
    copy.resize(param.size());
  }
  Step<T> args(std::int64_t step = 3, Isa isa = best_isa()) {
    Step<T> a;
    a.param = param.data(), a.grad = grad.data(), a.m = m.data(), a.v = v.data(), a.copy = copy.data();
    a.size = static_cast<std::int64_t>(param.size());
    a.learning_rate = 0.01, a.weight_decay = 0.1, a.grad_scale = 0.5, a.step = step;
    a.isa = isa;
    return a;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(param), f(grad), f(m), f(v), f(copy);
  }

  Case shape;
  std::vector<T> param, grad, m, v;
  std::vector<bf16> copy;
};

inline void expect_near(const Data<float>& data, const Data<float>& expected) {
  const double one = tolerance<float>(1);
  for (std::size_t i = 0; i < data.param.size(); ++i) {
    ASSERT_TRUE(near(data.m[i], expected.m[i], one * 5 * data.shape.scale)) << "m " << i;
    ASSERT_TRUE(near(data.v[i], expected.v[i], one * expected.v[i])) << "v " << i;
    // m cancels to roundings of its terms at worst, and is divided by sqrt(v).
    const double slack = 0.01 * 5 * data.shape.scale * one / (std::sqrt(expected.v[i]) + 1e-8);
    ASSERT_TRUE(near(data.param[i], expected.param[i], one * std::abs(expected.param[i]) + slack))
        << "param " << i;
    EXPECT_EQ(data.copy[i].bits, narrow<bf16>(data.param[i]).bits);
  }
}

}  // namespace prefer::kernels::adamw
