// token_logprob's cases, their inputs and outputs, and the comparison of a twin with the reference over all
// of them.
#pragma once

#include "kernels/token_logprob/token_logprob.hpp"
#include "support/kernels.hpp"
#include "support/sanitized.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace prefer::kernels::token_logprob {

using namespace prefer::testing;

inline constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  std::int64_t rows, vocab, stride;
  double scale = 3;  // of the logits
  float inv_temperature = 1;
  bool masked = false;  // every third logit is -inf, and the whole first block
  bool entropy = true;  // asked for, and with a gradient
};

inline const Case kCases[] = {
    {0, 5, 5},
    {1, 1, 1},
    {3, 2, 2},
    {2, 31, 31},
    {2, 33, 40},
    {3, 127, 127},
    {3, 128, 130},
    {3, 129, 129},
    {2, 1023, 1023},
    {2, 1025, 1031},
    {2, 4096, 4096, 3, 1.7f},
    {2, large(32003), large(32003)},
    {2, large(49152), large(49160)},
    {1, large(128256), large(128256)},
    {3, 1500, 1500, 1e4},
    {2, 1500, 1500, 1e4, 0.25f},
    {2, 3001, 3001, 3, 1, true},
    {2, 40, 40, 3, 0.5f, true},
    {2, 1025, 1031, 3, 1.7f, false, false},
    {2, 3001, 3001, 3, 1, true, false},
};

/// Inputs and outputs of one case in T.
template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    logits = normals<T>(c.rows * c.stride, 1, c.scale);
    for (std::int64_t row = 0; row < c.rows; ++row) {
      if (c.masked) {
        for (std::int64_t j = 0; j < c.vocab; ++j) {
          if (j % 3 == 1 || (c.vocab > 1024 && j < 1024)) at(row, j) = narrow<T>(-kInf);
        }
      }
      label.push_back((c.vocab - 1) / (row + 1) / 3 * 3);
    }
    const auto n = static_cast<std::size_t>(c.rows);
    logp = lse = entropy = std::vector<Wide<T>>(n);
    argmax.resize(n);
    grad_logp = normals<Wide<T>>(c.rows, 2);
    grad_entropy = normals<Wide<T>>(c.rows, 3, c.entropy ? 1 : 0);
    grad = logits;
  }
  T& at(std::int64_t row, std::int64_t j) { return logits[static_cast<std::size_t>(row * shape.stride + j)]; }

  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a{.logits = logits.data(), .label = label.data(), .rows = shape.rows, .vocab = shape.vocab};
    a.stride = shape.stride;
    a.inv_temperature = shape.inv_temperature;
    a.logp = logp.data();
    a.lse = lse.data();
    a.entropy = shape.entropy ? entropy.data() : nullptr;
    a.argmax = argmax.data();
    a.isa = isa;
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a{.logits = logits.data(), .label = label.data(), .rows = shape.rows, .vocab = shape.vocab};
    a.stride = a.grad_stride = shape.stride;
    a.inv_temperature = shape.inv_temperature;
    a.lse = lse.data();
    a.entropy = entropy.data();
    a.grad_logp = grad_logp.data();
    a.grad_entropy = shape.entropy ? grad_entropy.data() : nullptr;
    a.grad = grad.data();
    a.isa = isa;
    return a;
  }
  /// The largest |z|: what a float's rounding is a part of.
  double magnitude() const {
    double largest = 1;
    for (const T x : logits) {
      const double z = std::abs(static_cast<double>(shape.inv_temperature) * widen(x));
      if (z < kInf) largest = std::max(largest, z);
    }
    return largest;
  }

  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(logits), f(grad), f(label), f(argmax), f(logp), f(lse), f(entropy), f(grad_logp), f(grad_entropy);
  }

  Case shape;
  std::vector<T> logits, grad;
  std::vector<std::int64_t> label, argmax;
  std::vector<Wide<T>> logp, lse, entropy, grad_logp, grad_entropy;
};

template <class T>
class TokenLogprob : public ::testing::Test {
 protected:
  /// Runs `twin` (forward and backward of a Data) on every case and compares with the reference.
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.vocab << "] scale " << c.scale);
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      twin(data);
      compare_forward(data, expected);
      expected.lse = data.lse;
      expected.entropy = data.entropy;
      reference::backward(expected.backward());
      compare_backward(data, expected);
    }
  }

 private:
  void compare_forward(const Data<T>& data, const Data<T>& expected) {
    const double allowed = tolerance<Wide<T>>(data.shape.vocab) * expected.magnitude();
    for (std::size_t row = 0; row < data.logp.size(); ++row) {
      EXPECT_TRUE(near(data.logp[row], expected.logp[row], allowed)) << "logp of row " << row;
      EXPECT_TRUE(near(data.lse[row], expected.lse[row], allowed)) << "lse of row " << row;
      EXPECT_TRUE(near(data.entropy[row], expected.entropy[row], allowed)) << "entropy of row " << row;
      EXPECT_EQ(data.argmax[row], expected.argmax[row]) << "row " << row;
    }
  }
  void compare_backward(const Data<T>& data, const Data<T>& expected) {
    const double scale = data.shape.inv_temperature, magnitude = expected.magnitude();
    for (std::size_t i = 0; i < data.grad.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(data.shape.stride);
      const double z = scale * widen(data.logits[i]), p = z == -kInf ? 0 : std::exp(z - data.lse[row]);
      const double terms = std::abs(data.grad_logp[row]) + std::abs(data.grad_entropy[row]) * 2 * magnitude;
      const double allowed = tolerance<Wide<T>>(1) * magnitude * scale * terms * p +
                             tolerance<T>(1) * std::abs(widen(expected.grad[i])) + 1e-36;
      EXPECT_TRUE(near(widen(data.grad[i]), widen(expected.grad[i]), allowed)) << "element " << i;
      if (::testing::Test::HasFailure()) return;
    }
  }
};

}  // namespace prefer::kernels::token_logprob
