// The loss on rankings against sums written out by hand, against the probabilities of all orders, and finite
// differences.
#include "prefer/losses/plackett_luce.hpp"

#include "prefer/losses/bradley_terry.hpp"
#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <numeric>

namespace prefer {
namespace {

Tensor doubles(const std::vector<double>& values) { return tensor_of(values, at::kDouble); }

/// One group.
ScoredGroups group(const std::vector<double>& scores, const std::vector<double>& ranks) {
  return {doubles(scores).unsqueeze(0), doubles(ranks).unsqueeze(0), doubles({1})};
}

double loss_of(const std::vector<double>& scores, const std::vector<double>& ranks) {
  return PlackettLuce{}(group(scores, ranks)).item<double>();
}

TEST(PlackettLuce, OfThreeAnswersIsTheSumWrittenOut) {
  const double first = std::log(std::exp(2.0) + std::exp(1.0) + std::exp(-1.0)) - 2;
  const double second = std::log(std::exp(1.0) + std::exp(-1.0)) - 1;
  EXPECT_NEAR(first, 0.3490122167681864, 1e-15);
  EXPECT_NEAR(second, 0.12692801104297252, 1e-15);
  EXPECT_NEAR(loss_of({2, 1, -1}, {1, 2, 3}), (first + second) / 2, 1e-15);
  EXPECT_NEAR(loss_of({0, 0, 0}, {2, 3, 1}), (std::log(3.0) + std::log(2.0)) / 2, 1e-15);
}

TEST(PlackettLuce, OfTwoAnswersIsBradleyTerry) {
  const std::vector<double> gaps = {0, 1, -3, 30, -30, 800, -800};
  for (const double gap : gaps) {
    const Tensor better = doubles({gap / 2 + 5}), worse = doubles({5 - gap / 2});
    const double expected = BradleyTerry{}({better, worse, doubles({NAN}), {}}).item<double>();
    EXPECT_NEAR(loss_of({gap / 2 + 5, 5 - gap / 2}, {1, 2}), expected, 1e-15 * (1 + std::abs(gap)));
  }
}

TEST(PlackettLuce, ExpOfItIsAProbabilityOverAllOrders) {
  const std::vector<double> scores = {0.7, -1.2, 2.5, 0.1, 0.4};
  std::vector<double> ranks = {1, 2, 3, 4, 5};
  double sum = 0;
  int orders = 0;
  do {
    sum += std::exp(-4 * loss_of(scores, ranks));
    ++orders;
  } while (std::ranges::next_permutation(ranks).found);
  EXPECT_EQ(orders, 120);
  EXPECT_NEAR(sum, 1, 1e-13);
}

TEST(PlackettLuce, TheOrderInWhichAnswersAreGivenAndAConstantChangeNothing) {
  const std::vector<double> scores = {0.7, -1.2, 2.5, 0.1, 0.4, 3, -2}, ranks = {3, 7, 1, 5, 4, 2, 6};
  const double expected = loss_of(scores, ranks);
  std::vector<std::size_t> order(7);
  std::iota(order.begin(), order.end(), 0U);
  for (int i = 0; i < 50; ++i) {
    std::ranges::next_permutation(order);
    std::ranges::rotate(order, order.begin() + 3);
    std::vector<double> s, r;
    for (const std::size_t k : order) {
      s.push_back(scores[k] + i);
      r.push_back(ranks[k]);
    }
    EXPECT_NEAR(loss_of(s, r), expected, 1e-13);
  }
}

TEST(PlackettLuce, WhatIsTiedIsNotCompared) {
  const auto pair = [](double better, double worse) { return std::log1p(std::exp(worse - better)); };
  // Two share the first place: each is above the third, and nothing is said of the two.
  EXPECT_NEAR(loss_of({0.3, 1.1, -0.5}, {1, 1, 3}), (pair(0.3, -0.5) + pair(1.1, -0.5)) / 2, 1e-15);
  // Two share the last place: one term, of the first among three.
  EXPECT_NEAR(loss_of({0.3, 1.1, -0.5}, {1, 2, 2}),
              std::log(std::exp(0.3) + std::exp(1.1) + std::exp(-0.5)) - 0.3, 1e-15);
  // Ranks are an order: how far apart they are means nothing.
  EXPECT_EQ(loss_of({0.3, 1.1, -0.5}, {1, 1, 3}), loss_of({0.3, 1.1, -0.5}, {2, 2, 40}));
}

TEST(PlackettLuce, AGroupWithFewerAnswersIsAsItWouldBeAlone) {
  const Tensor scores = doubles({2, 1, -1, 0.5, 0.2, 0}).view({2, 3}).requires_grad_();
  const Tensor ranks = doubles({1, 2, 3, 2, 1, NAN}).view({2, 3});
  const Tensor each = PlackettLuce{}({scores, ranks, doubles({1, 1})});
  EXPECT_NEAR(each[0].item<double>(), loss_of({2, 1, -1}, {1, 2, 3}), 1e-15);
  EXPECT_NEAR(each[1].item<double>(), loss_of({0.5, 0.2}, {2, 1}), 1e-15);
  each.sum().backward();
  EXPECT_EQ(scores.grad()[1][2].item<double>(), 0);
}

TEST(PlackettLuce, StaysFiniteAtHugeScores) {
  EXPECT_EQ(loss_of({1e6, 0, -1e6}, {1, 2, 3}), 0);
  EXPECT_NEAR(loss_of({-1e6, 0, 1e6}, {1, 2, 3}), 1.5e6, 1e-6);
}

TEST(PlackettLuce, GradientsAreThoseOfFiniteDifferences) {
  const double none = NAN;
  const Tensor ranks = doubles({3, 7, 1,    5,    4,    2,    6,     // seven
                                2, 2, 1,    4,    5,    5,    none,  // ties, and one fewer
                                1, 2, none, none, none, none, none})
                           .view({3, 7});
  testing::expect_gradient(
      [&](const std::vector<Tensor>& scores) {
        return (doubles({1, 2, 3}) * PlackettLuce{}({scores[0], ranks, {}})).sum();
      },
      {testing::normal({3, 7}, 5)});
}

}  // namespace
}  // namespace prefer
