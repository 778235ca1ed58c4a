// sample's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/sample/sample.hpp"
#include "support/kernels.hpp"
#include "support/sanitized.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer::kernels::sample {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, vocab, stride;
  double temperature = 1;
  std::int64_t top_k = 0;
  double top_p = 1;
  double scale = 2;
  bool tempered = false;  // log-probs and entropies too
};

inline const Case kCases[] = {
    {0, 5, 5},
    {1, 1, 1},
    {9, 31, 31},
    {9, 33, 40, 0.7},
    {9, 127, 127, 1, 10},
    {9, 128, 130, 1, 0, 0.9},
    {9, 129, 129, 1.3, 20, 0.8},
    {9, 1025, 1030, 0.5, 1000, 0.95},
    {3, large(32003), large(32003), 1, 0, 0.9},
    {4, large(49152), large(49160), 1, 50, 0.9},
    {4, large(49152), large(49152), 0.8, 0, 1},
    {1, large(128256), large(128256), 1, 40, 0.95},
    {9, 500, 500, 0},
    {9, 500, 500, 1, 1},
    {9, 500, 500, 1, 0, 1e-9},
    {9, 500, 500, 100, 400, 0.99},
    {9, 500, 500, 0.01, 50, 0.9},
    {9, 500, 500, 1, 30, 0.9, 1e4},
    {9, 500, 507, 0.7, 0, 1, 2, true},
    {3, 32003, 32003, 1.5, 100, 0.9, 2, true},
    {9, 500, 500, 0.01, 0, 1, 2, true},
};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    logits = normals<T>(c.rows * c.stride, 1, c.scale);
    for (std::size_t i = 0; i < logits.size(); i += 7) logits[i] = narrow<T>(-INFINITY);
    if (c.vocab == 1) logits[0] = narrow<T>(2);
    for (std::int64_t i = 0; i < c.rows; ++i) uniform.push_back(uniform_at(5, static_cast<std::uint64_t>(i)));
    token.resize(uniform.size());
    logp.resize(uniform.size());
    entropy.resize(uniform.size());
  }
  Forward<T> args(Isa isa = best_isa()) {
    Forward<T> a;
    a.logits = logits.data();
    a.rows = shape.rows, a.vocab = shape.vocab, a.stride = shape.stride;
    a.uniform = uniform.data();
    a.temperature = shape.temperature, a.top_k = shape.top_k, a.top_p = shape.top_p;
    a.token = token.data(), a.logp = logp.data(), a.entropy = entropy.data();
    if (shape.tempered) a.inv_temperature = static_cast<Wide<T>>(1 / shape.temperature);
    a.isa = isa;
    return a;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(logits), f(uniform), f(token), f(logp), f(entropy);
  }

  Case shape;
  std::vector<T> logits;
  std::vector<double> uniform;
  std::vector<std::int64_t> token;
  std::vector<Wide<T>> logp, entropy;
};

template <class T>
class Sample : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << type_name<T>() << " vocab " << c.vocab << " temperature "
                                        << c.temperature << " top_k " << c.top_k << " top_p " << c.top_p);
      Data<T> data(c), expected(c);
      reference::forward(expected.args());
      twin(data);
      for (std::size_t row = 0; row < data.token.size(); ++row) {
        EXPECT_EQ(data.token[row], expected.token[row]) << "row " << row;
        const double largest = 4 * c.scale * (c.tempered ? 1 / c.temperature : 1);  // |z|
        const double allowed =
            tolerance<float>(c.vocab) * std::max(1.0, std::abs(expected.logp[row]) + largest);
        EXPECT_TRUE(near(data.logp[row], expected.logp[row], allowed)) << "row " << row;
        EXPECT_TRUE(near(data.entropy[row], expected.entropy[row], allowed)) << "entropy of row " << row;
      }
    }
  }
};

}  // namespace prefer::kernels::sample
