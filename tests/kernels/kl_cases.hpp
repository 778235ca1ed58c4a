// kl's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/kl/kl.hpp"
#include "support/kernels.hpp"
#include "support/sanitized.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <limits>

namespace prefer::kernels::kl {

using namespace prefer::testing;

inline constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  std::int64_t rows, vocab, stride;
  double scale = 3;  // of the logits
  double apart = 1;  // of what the reference's differ by
  float inv_temperature = 1;
  bool masked = false;  // every third logit of both is -inf
};

inline const Case kCases[] = {{0, 5, 5},
                              {1, 1, 1},
                              {3, 2, 2},
                              {2, 31, 31},
                              {2, 33, 40},
                              {3, 127, 127},
                              {3, 128, 130},
                              {3, 129, 129},
                              {2, 1023, 1023},
                              {2, 1025, 1031},
                              {2, 4096, 4096, 3, 0.01, 1.7f},
                              {2, large(32003), large(32003)},
                              {1, large(128256), large(128256), 3, 0.1},
                              {3, 1500, 1500, 1e4, 1e3},
                              {2, 1500, 1500, 3, 10, 0.25f},
                              {2, 3001, 3001, 3, 1, 1, true}};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    policy = normals<T>(c.rows * c.stride, 1, c.scale);
    const auto apart = normals<double>(c.rows * c.stride, 2, c.apart);
    for (std::size_t i = 0; i < policy.size(); ++i) {
      reference.push_back(narrow<T>(widen(policy[i]) + apart[i]));
      if (c.masked && i % static_cast<std::size_t>(c.stride) % 3 == 1)
        policy[i] = reference[i] = narrow<T>(-kInf);
    }
    kl = policy_lse = reference_lse = policy_logp = reference_logp =
        std::vector<Wide<T>>(static_cast<std::size_t>(c.rows));
    for (std::int64_t row = 0; row < c.rows; ++row) label.push_back((row * 7919 + c.vocab - 1) % c.vocab);
    grad_kl = normals<Wide<T>>(c.rows, 3);
    grad_logp = normals<Wide<T>>(c.rows, 4);
    grad = policy;
  }
  template <class Args>
  Args rows(Isa isa) {
    Args a;
    a.policy = policy.data(), a.reference = reference.data();
    a.rows = shape.rows, a.vocab = shape.vocab, a.policy_stride = a.reference_stride = shape.stride;
    a.inv_temperature = shape.inv_temperature, a.isa = isa;
    a.kl = kl.data(), a.policy_lse = policy_lse.data(), a.reference_lse = reference_lse.data();
    return a;
  }
  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a = rows<Forward<T>>(isa);
    a.label = label.data(), a.policy_logp = policy_logp.data(), a.reference_logp = reference_logp.data();
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a = rows<Backward<T>>(isa);
    a.grad_kl = grad_kl.data(), a.grad = grad.data(), a.grad_stride = shape.stride;
    if (of_labels) a.label = label.data(), a.grad_policy_logp = grad_logp.data();
    return a;
  }
  /// The largest |z|: what a float's rounding is a part of.
  double magnitude() const {
    double largest = 1;
    for (const auto* logits : {&policy, &reference}) {
      for (const T x : *logits) {
        const double z = std::abs(static_cast<double>(shape.inv_temperature) * widen(x));
        if (z < kInf) largest = std::max(largest, z);
      }
    }
    return largest;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(policy), f(reference), f(grad), f(kl), f(policy_lse), f(reference_lse), f(grad_kl);
    f(label), f(policy_logp), f(reference_logp), f(grad_logp);
  }

  Case shape;
  bool of_labels = false;  // the gradient is that of the labels' log-probabilities too
  std::vector<T> policy, reference, grad;
  std::vector<Wide<T>> kl, policy_lse, reference_lse, grad_kl, policy_logp, reference_logp, grad_logp;
  std::vector<std::int64_t> label;
};

template <class T>
class Kl : public ::testing::Test {
 protected:
  /// Runs `twin` (forward and backward of a Data) on every case and compares with the reference.
  template <class Twin>
  void compare(Twin twin) {
    for (const bool of_labels : {false, true}) {
      for (const Case& c : kCases) compare(twin, c, of_labels);
    }
  }

 private:
  template <class Twin>
  void compare(Twin twin, const Case& c, bool of_labels) {
    SCOPED_TRACE(::testing::Message()
                 << type_name<T>() << " [" << c.rows << ", " << c.vocab << "] scale " << c.scale);
    Data<T> data(c), expected(c);
    data.of_labels = expected.of_labels = of_labels;
    reference::forward(expected.forward());
    twin(data);
    const double allowed = tolerance<Wide<T>>(c.vocab) * expected.magnitude();
    for (std::size_t row = 0; row < data.kl.size(); ++row) {
      EXPECT_TRUE(near(data.kl[row], expected.kl[row], allowed)) << "kl of row " << row;
      EXPECT_TRUE(near(data.policy_lse[row], expected.policy_lse[row], allowed)) << "row " << row;
      EXPECT_TRUE(near(data.reference_lse[row], expected.reference_lse[row], allowed)) << "row " << row;
      EXPECT_TRUE(near(data.policy_logp[row], expected.policy_logp[row], allowed)) << "row " << row;
      EXPECT_TRUE(near(data.reference_logp[row], expected.reference_logp[row], allowed)) << "row " << row;
    }
    expected.kl = data.kl, expected.policy_lse = data.policy_lse, expected.reference_lse = data.reference_lse;
    reference::backward(expected.backward());
    compare_gradient(data, expected);
  }

  void compare_gradient(const Data<T>& data, const Data<T>& expected) {
    const double scale = data.shape.inv_temperature, magnitude = expected.magnitude();
    for (std::size_t i = 0; i < data.grad.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(data.shape.stride);
      const double z = scale * widen(data.policy[i]), p = z == -kInf ? 0 : std::exp(z - data.policy_lse[row]);
      double terms = scale * std::abs(data.grad_kl[row]) * p * (1 + 3 * magnitude);
      const bool is_label =
          i % static_cast<std::size_t>(data.shape.stride) == static_cast<std::size_t>(data.label[row]);
      if (data.of_labels) terms += scale * std::abs(data.grad_logp[row]) * (p + is_label);
      const double allowed = tolerance<Wide<T>>(1) * magnitude * terms +
                             tolerance<T>(1) * std::abs(widen(expected.grad[i])) + 1e-36;
      ASSERT_TRUE(near(widen(data.grad[i]), widen(expected.grad[i]), allowed)) << "element " << i;
    }
  }
};

}  // namespace prefer::kernels::kl
