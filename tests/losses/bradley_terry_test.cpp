// The reward model's loss against its closed form at chosen points, its minimum, and finite differences.
#include "prefer/losses/bradley_terry.hpp"

#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

Tensor doubles(std::vector<double> values) { return tensor_of(values, at::kDouble); }

ScoredPairs pairs(std::vector<double> chosen, std::vector<double> rejected, std::vector<double> margin) {
  return {doubles(chosen), doubles(rejected), doubles(margin),
          doubles(std::vector<double>(chosen.size(), 1))};
}

double softplus(double z) { return std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0); }

TEST(BradleyTerry, IsLnTwoWhereScoresAreEqual) {
  EXPECT_DOUBLE_EQ(BradleyTerry{}(pairs({3}, {3}, {NAN})).item<double>(), std::log(2.0));
}

TEST(BradleyTerry, EquationWithAndWithoutMargin) {
  const ScoredPairs p = pairs({1.5, -2, 400}, {0.5, 1, -400}, {1, 0, 3});
  const Tensor plain = BradleyTerry{}(p), wide = BradleyTerry{.use_margin = true}(p);
  for (const auto& [i, gap, margin] : {std::tuple{0, 1.0, 1.0}, {1, -3.0, 0.0}, {2, 800.0, 3.0}}) {
    EXPECT_NEAR(plain[i].item<double>(), softplus(-gap), 1e-12);
    EXPECT_NEAR(wide[i].item<double>(), softplus(margin - gap), 1e-12);
  }
}

TEST(BradleyTerry, CentringAddsTheSquaredSumAndNothingWhereItIsOff) {
  const ScoredPairs p = pairs({1.5}, {0.5}, {NAN});
  const double plain = BradleyTerry{}(p).item<double>();
  EXPECT_NEAR(BradleyTerry{.center_rewards_coefficient = 0.01}(p).item<double>(), plain + 0.01 * 4, 1e-15);
  // Of all pairs with one gap the centred one is best.
  const BradleyTerry centred{.center_rewards_coefficient = 0.5};
  EXPECT_LT(centred(pairs({0.5}, {-0.5}, {NAN})).item<double>(),
            centred(pairs({0.6}, {-0.4}, {NAN})).item<double>());
}

TEST(BradleyTerry, GradientsAreThoseOfFiniteDifferences) {
  for (const BradleyTerry& loss : {BradleyTerry{}, BradleyTerry{.use_margin = true},
                                   BradleyTerry{.use_margin = true, .center_rewards_coefficient = 0.3}}) {
    const Tensor margin = doubles({0, 1, 3, 0.5});
    testing::expect_gradient(
        [&](const std::vector<Tensor>& scores) {
          const Tensor weight = doubles({1, 2, 3, 4});
          return (weight * loss({scores[0], scores[1], margin, {}})).sum();
        },
        {doubles({0.7, -3, 12, -80}), doubles({0.1, 2.5, -9, 80})});
  }
}

}  // namespace
}  // namespace prefer
