// kl's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/kl/estimators.hpp"
#include "kernels/kl/kl.hpp"
#include "support/kernels.hpp"
#include "support/sanitized.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <algorithm>
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

/// What is asked of a case.
struct Asked {
  bool estimates = false;  // k1, k2 and k3 of labels besides the KL
  bool gradient = false;   // of all that is asked for
};

inline const Asked kAsked[] = {{false, false}, {true, false}, {false, true}, {true, true}};

template <class T>
struct Data {
  explicit Data(const Case& c, Asked a = {}) : shape(c), asked(a) {
    policy = normals<T>(c.rows * c.stride, 1, c.scale);
    const auto apart = normals<double>(c.rows * c.stride, 2, c.apart);
    for (std::size_t i = 0; i < policy.size(); ++i) {
      reference.push_back(narrow<T>(widen(policy[i]) + apart[i]));
      if (c.masked && i % static_cast<std::size_t>(c.stride) % 3 == 1)
        policy[i] = reference[i] = narrow<T>(-kInf);
    }
    kl = k1 = k2 = k3 = std::vector<Wide<T>>(static_cast<std::size_t>(c.rows));
    for (std::int64_t row = 0; row < c.rows; ++row) label.push_back(drawn(row));
    grad_kl = normals<Wide<T>>(c.rows, 3);
    grad_k1 = normals<Wide<T>>(c.rows, 4);
    grad_k2 = normals<Wide<T>>(c.rows, 5);
    grad_k3 = normals<Wide<T>>(c.rows, 6);
    grad = policy;
  }
  Divergence<T> args(Isa isa = best_isa()) {
    Divergence<T> a{.policy = policy.data(), .reference = reference.data(), .rows = shape.rows};
    a.vocab = shape.vocab, a.policy_stride = a.reference_stride = a.grad_stride = shape.stride;
    a.inv_temperature = shape.inv_temperature, a.isa = isa, a.kl = kl.data();
    if (asked.estimates) a.label = label.data(), a.k1 = k1.data(), a.k2 = k2.data(), a.k3 = k3.data();
    if (asked.gradient) a.grad = grad.data(), a.grad_kl = grad_kl.data();
    if (asked.gradient && asked.estimates)
      a.grad_k1 = grad_k1.data(), a.grad_k2 = grad_k2.data(), a.grad_k3 = grad_k3.data();
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
  /// log softmax of a row of `logits`, in double. [vocab]
  std::vector<double> logp(const std::vector<T>& logits, std::int64_t row) const {
    std::vector<double> z;
    for (std::int64_t j = 0; j < shape.vocab; ++j) {
      const T x = logits[static_cast<std::size_t>(row * shape.stride + j)];
      z.push_back(static_cast<double>(shape.inv_temperature) * widen(x));
    }
    const double largest = *std::max_element(z.begin(), z.end());
    double sum = 0;
    for (const double each : z) sum += std::exp(each - largest);
    for (double& each : z) each -= largest + std::log(sum);
    return z;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(policy), f(reference), f(grad), f(label), f(kl), f(k1), f(k2), f(k3);
    f(grad_kl), f(grad_k1), f(grad_k2), f(grad_k3);
  }

  Case shape;
  Asked asked;
  std::vector<T> policy, reference, grad;
  std::vector<Wide<T>> kl, k1, k2, k3, grad_kl, grad_k1, grad_k2, grad_k3;
  std::vector<std::int64_t> label;

 private:
  /// Any token of a row; where one has nearly all the mass, that one, as no other is drawn.
  std::int64_t drawn(std::int64_t row) const {
    if (shape.scale <= 3) return (row * 7919 + shape.vocab - 1) % shape.vocab;
    const auto larger = [](T a, T b) { return widen(a) < widen(b); };
    const auto begin = policy.begin() + row * shape.stride;
    return std::max_element(begin, begin + shape.vocab, larger) - begin;
  }
};

template <class T>
class Kl : public ::testing::Test {
 protected:
  /// Runs `twin` on the Data of every case, whatever is asked of it, and compares with the reference.
  template <class Twin>
  void compare(Twin twin) {
    for (const Asked asked : kAsked) {
      for (const Case& c : kCases) {
        SCOPED_TRACE(::testing::Message()
                     << type_name<T>() << " [" << c.rows << ", " << c.vocab << "] scale " << c.scale
                     << (asked.estimates ? " estimates" : "") << (asked.gradient ? " gradient" : ""));
        Data<T> data(c, asked), expected(c, asked);
        reference::forward(expected.args());
        twin(data);
        for (std::int64_t row = 0; row < c.rows; ++row) compare_row(data, expected, row);
      }
    }
  }

 private:
  using Of = Estimators<double>;

  void compare_row(const Data<T>& data, const Data<T>& expected, std::int64_t row) {
    const auto at = static_cast<std::size_t>(row);
    const double apart = tolerance<Wide<T>>(data.shape.vocab) * expected.magnitude();  // of log-probabilities
    EXPECT_TRUE(near(data.kl[at], expected.kl[at], apart)) << "kl of row " << row;
    const double r = expected.k1[at];
    const auto expect_near = [&](const std::vector<Wide<T>>& got, const std::vector<Wide<T>>& want,
                                 double off) {
      const double allowed = off + tolerance<Wide<T>>(1) * std::abs(want[at]);
      EXPECT_TRUE(near(got[at], want[at], allowed)) << "an estimate of row " << row << ", log-ratio " << r;
    };
    expect_near(data.k1, expected.k1, 2 * apart);
    expect_near(data.k2, expected.k2, moved([](Of of) { return of.k2(); }, r, 2 * apart));
    expect_near(data.k3, expected.k3, moved([](Of of) { return of.k3(); }, r, 2 * apart));
    if (data.asked.gradient) compare_gradient(data, expected, row, apart);
  }

  /// By how much `f` of a log-ratio differs where that is off by `by`; all that are asked about grow towards
  /// both ends or towards one.
  template <class F>
  static double moved(F f, double r, double by) {
    return std::max(std::abs(f({r + by}) - f({r})), std::abs(f({r - by}) - f({r})));
  }

  void compare_gradient(const Data<T>& data, const Data<T>& expected, std::int64_t row, double apart) {
    const auto at = static_cast<std::size_t>(row);
    const double scale = data.shape.inv_temperature, r = expected.k1[at];
    const double of_kl = scale * std::abs(data.grad_kl[at]);
    double of_label = 0, off_label = 0;  // the label's upstream, and how far off it may be
    if (data.asked.estimates) {
      const double u1 = data.grad_k1[at], u2 = data.grad_k2[at], u3 = data.grad_k3[at];
      const auto upstream = [&](Of of) {
        return scale * (u1 * of.k1_slope() + u2 * of.k2_slope() + u3 * of.k3_slope());
      };
      of_label = std::abs(upstream({r}));
      const double slopes = std::abs(u1) + std::abs(u2 * r) + std::abs(u3 * Of{r}.k3_slope());
      off_label = scale * (std::abs(u2) * 2 * apart + tolerance<Wide<T>>(1) * slopes +
                           std::abs(u3) * moved([](Of of) { return of.k3_slope(); }, r, 2 * apart));
    }
    const auto logp = data.logp(data.policy, row), logq = data.logp(data.reference, row);
    for (std::size_t j = 0; j < logp.size(); ++j) {
      const std::size_t i = at * static_cast<std::size_t>(data.shape.stride) + j;
      const double p = std::exp(logp[j]), off_p = p * std::expm1(apart);
      double allowed = tolerance<T>(1) * std::abs(widen(expected.grad[i])) + 1e-36;
      if (p > 0) {
        const double distance = std::abs(logp[j] - logq[j] - expected.kl[at]);
        allowed += of_kl * (off_p * (distance + 3 * apart) + p * 3 * apart) + (of_label + off_label) * off_p;
      }
      const bool is_label = data.asked.estimates && static_cast<std::int64_t>(j) == data.label[at];
      allowed += off_label * (is_label ? 1 : p);
      ASSERT_TRUE(near(widen(data.grad[i]), widen(expected.grad[i]), allowed)) << "element " << j;
    }
  }
};

}  // namespace prefer::kernels::kl
