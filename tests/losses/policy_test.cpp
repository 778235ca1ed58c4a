// The losses of PPO: closed forms on either side of the clip, and finite differences.
#include "prefer/losses/policy.hpp"

#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

using testing::expect_gradient;
using testing::normal;

Tensor numbers(std::vector<double> values) { return tensor_of(values, at::kDouble); }

TEST(ClippedPolicyLoss, IsEquation7) {
  const std::vector<double> ratio = {1, 1.5, 1.5, 0.5, 0.5, 1.1}, advantage = {2, 2, -2, 2, -2, 3};
  // min(r A, clip(r) A) by hand with a range of 0.2: a ratio beyond it counts only where that makes things
  // worse.
  const std::vector<double> objective = {2, 1.2 * 2, 1.5 * -2, 0.5 * 2, 0.8 * -2, 1.1 * 3};
  const std::vector<double> clipped = {0, 1, 0, 0, 1, 0};
  const ClippedPolicyLoss loss;
  const Tensor log_ratio = numbers(ratio).log();
  for (int64_t i = 0; i < 6; ++i) {
    const auto at = static_cast<size_t>(i);
    EXPECT_NEAR(loss(log_ratio, numbers(advantage))[i].item<double>(), -objective[at], 1e-15) << i;
    EXPECT_EQ(loss.is_clipped(log_ratio, numbers(advantage))[i].item<double>(), clipped[at]) << i;
  }
}

TEST(ClippedPolicyLoss, AtTheSamplingPolicyItsGradientIsThePolicyGradient) {
  Tensor log_ratio = at::zeros({3}, at::kDouble).requires_grad_();
  const Tensor advantage = numbers({1.5, -2, 0.25});
  ClippedPolicyLoss{}(log_ratio, advantage).sum().backward();
  EXPECT_TRUE(at::equal(log_ratio.grad(), -advantage));
}

TEST(ClippedPolicyLoss, BeyondTheClipNothingPulls) {
  Tensor log_ratio = numbers({0.5, -0.5}).requires_grad_();
  ClippedPolicyLoss{}(log_ratio, numbers({1, -1})).sum().backward();
  EXPECT_EQ(log_ratio.grad().abs().max().item<double>(), 0);
}

TEST(ClippedValueLoss, TakesTheWorseOfBoth) {
  const ClippedValueLoss loss{.cliprange_value = 0.2};
  const Tensor value = numbers({1, 1, 0.1, 1}), old = numbers({0, 0, 0, 2}),
               returns = numbers({1, 0.5, 5, 1});
  // Clipped values: 0.2, 0.2, 0.1, 1.8.
  const std::vector<double> expected = {0.5 * 0.64, 0.5 * 0.25, 0.5 * 4.9 * 4.9, 0.5 * 0.64},
                            clipped = {1, 0, 0, 1};
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(loss(value, old, returns)[i].item<double>(), expected[static_cast<size_t>(i)], 1e-14) << i;
    EXPECT_EQ(loss.is_clipped(value, old, returns)[i].item<double>(), clipped[static_cast<size_t>(i)]) << i;
  }
}

TEST(PpoLosses, GradientsAreFiniteDifferences) {
  expect_gradient([](const auto& x) { return ClippedPolicyLoss{}(x[0], normal({50}, 2)).sum(); },
                  {0.3 * normal({50}, 1)});
  expect_gradient(
      [](const auto& x) { return ClippedValueLoss{}(x[0], normal({50}, 2), normal({50}, 3)).sum(); },
      {normal({50}, 1)});
}

}  // namespace
}  // namespace prefer
