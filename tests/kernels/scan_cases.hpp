// scan's cases, their inputs and outputs, and the comparison of a twin with the reference over all of them.
#pragma once

#include "kernels/scan/scan.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::scan {

using namespace prefer::testing;

struct Case {
  std::vector<std::int64_t> lengths;
  double gamma = 1, lambda = 0.95;
  double scale = 1;
};

inline const std::vector<Case> kCases = {{{}},
                                         {{0, 1, 0, 2}},
                                         {{1, 31, 33, 16, 17, 15, 8, 4, 3}},
                                         {{64, 63, 65}, 0.99, 0.9},
                                         {{1023, 1024, 1025}, 1, 0.95},
                                         {{255, 256, 257, 511, 513}, 0.5, 0.5},
                                         {{2000}, 1, 1},
                                         {{300, 7}, 1, 0},
                                         {{300, 7}, 0, 1},
                                         {{200, 100}, 1, 0.95, 1e30},
                                         {std::vector<std::int64_t>(200, 53), 1, 0.95}};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c), begin{0} {
    for (const std::int64_t length : c.lengths) begin.push_back(begin.back() + length);
    reward = normals<T>(begin.back(), 1, c.scale);
    value = normals<T>(begin.back(), 2, c.scale);
    advantage.resize(reward.size()), returns.resize(reward.size());
  }
  Gae<T> args(Isa isa = best_isa()) {
    Gae<T> a;
    a.reward = reward.data(), a.value = value.data(), a.begin = begin.data();
    a.sequences = static_cast<std::int64_t>(shape.lengths.size());
    a.gamma = shape.gamma, a.lambda = shape.lambda;
    a.advantage = advantage.data(), a.returns = returns.data(), a.isa = isa;
    return a;
  }
  /// Everything that `f` must copy for a twin on another device.
  template <class F>
  void each(F f) {
    f(reward), f(value), f(advantage), f(returns), f(begin);
  }

  Case shape;
  std::vector<std::int64_t> begin;
  std::vector<T> reward, value, advantage, returns;
};

/// Runs `twin` on every case and compares with the reference. A sum's terms are deltas of three numbers each.
template <class Twin>
void compare(Twin twin) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message()
                 << c.lengths.size() << " sequences, gamma " << c.gamma << " lambda " << c.lambda);
    Data<float> data(c), expected(c);
    reference::forward(expected.args());
    twin(data);
    const double decay = c.gamma * c.lambda;
    for (std::size_t s = 0; s < c.lengths.size(); ++s) {
      double terms = 0;  // sum of (gamma lambda)^k |delta|, which the advantage's rounding is a part of
      for (std::int64_t t = expected.begin[s + 1] - 1; t >= expected.begin[s]; --t) {
        const auto i = static_cast<std::size_t>(t);
        terms = decay * terms + std::abs(expected.reward[i]) + std::abs(expected.value[i]) +
                (t + 1 < expected.begin[s + 1] ? c.gamma * std::abs(expected.value[i + 1]) : 0);
        const double allowed = tolerance<float>(c.lengths[s]) * terms;
        ASSERT_TRUE(near(data.advantage[i], expected.advantage[i], allowed)) << t;
        ASSERT_TRUE(near(data.returns[i], expected.returns[i], allowed)) << t;
      }
    }
  }
}

}  // namespace prefer::kernels::scan
