// Each preference loss against its closed form at chosen points, and its gradient against finite differences.
#include "prefer/losses/dpo.hpp"
#include "prefer/losses/ipo.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/losses/simpo.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

Tensor doubles(std::vector<double> values) { return tensor_of(values, at::kDouble); }

/// Pairs with log-ratios r_w, r_l on references of -20 and -30 nats over 4 and 5 tokens.
Pairs pairs(std::vector<double> chosen, std::vector<double> rejected) {
  const Tensor w = doubles(std::move(chosen));
  const Tensor l = doubles(std::move(rejected));
  return {{w - 20, at::full_like(w, -20), at::full_like(w, 4), {}},
          {l - 30, at::full_like(l, -30), at::full_like(l, 5), {}},
          at::ones_like(w)};
}

double softplus(double z) { return std::log1p(std::exp(-std::abs(z))) + std::max(z, 0.0); }

TEST(Dpo, IsLnTwoWhereThePolicyIsTheReference) {
  const Tensor loss = Dpo{}(pairs({0.0}, {0.0}));
  EXPECT_DOUBLE_EQ(loss.item<double>(), std::log(2.0));
}

TEST(Dpo, EquationSeven) {
  const Tensor loss = Dpo{.beta = 0.3}(pairs({1.5, -2.0, 400.0}, {0.5, 1.0, -400.0}));
  EXPECT_NEAR(loss[0].item<double>(), softplus(-0.3 * 1.0), 1e-12);
  EXPECT_NEAR(loss[1].item<double>(), softplus(0.3 * 3.0), 1e-12);
  EXPECT_NEAR(loss[2].item<double>(), softplus(-240.0), 1e-12);
}

TEST(Dpo, ConservativeFormHasItsMinimumWhereTheLabelsAreRight) {
  const Dpo loss{.beta = 1.0, .label_smoothing = 0.2};
  const double best = std::log(0.8 / 0.2);  // sigmoid(h) = 1 - e
  const double at_best = loss(pairs({best}, {0.0})).item<double>();
  EXPECT_NEAR(at_best, -(0.8 * std::log(0.8) + 0.2 * std::log(0.2)), 1e-12);
  EXPECT_GT(loss(pairs({best + 0.1}, {0.0})).item<double>(), at_best);
  EXPECT_GT(loss(pairs({best - 0.1}, {0.0})).item<double>(), at_best);
}

TEST(Ipo, IsZeroAtItsTargetGapAToken) {
  const double gap = 1 / (2 * 0.1);
  EXPECT_NEAR(Ipo{}(pairs({4 * gap}, {0.0})).item<double>(), 0.0, 1e-12);
  EXPECT_NEAR(Ipo{}(pairs({0.0}, {0.0})).item<double>(), gap * gap, 1e-12);
}

TEST(SimPo, EquationSix) {
  const Tensor loss = SimPo{.beta = 2.0, .gamma_beta_ratio = 0.25}(pairs({2.0}, {1.0}));
  const double h = (2.0 - 20) / 4 - (1.0 - 30) / 5 - 0.25;
  EXPECT_NEAR(loss.item<double>(), softplus(-2.0 * h), 1e-12);
}

TEST(PreferenceLoss, GradientsAreThoseOfFiniteDifferences) {
  for (const PreferenceLoss& loss : preference_catalogue()) {
    Pairs p = pairs({0.7, -3.0, 12.0, -40.0}, {0.1, 2.5, -9.0, 30.0});
    for (Tensor* logp : {&p.chosen.logp, &p.rejected.logp}) {
      *logp = logp->detach().clone().requires_grad_();
      loss(p).sum().backward();
      const Tensor numeric = testing::finite_differences([&] { return loss(p).sum(); }, logp->detach());
      EXPECT_LT((logp->grad() - numeric).abs().max().item<double>(), 1e-6) << loss.name();
      *logp = logp->detach();
    }
  }
}

TEST(PreferenceLoss, RewardIsBetaTimesTheRatioOrTheMean) {
  const Pairs p = pairs({1.5}, {0.5});
  EXPECT_DOUBLE_EQ(PreferenceLoss(Dpo{.beta = 0.2}).reward(p.chosen).item<double>(), 0.3);
  EXPECT_DOUBLE_EQ(PreferenceLoss(SimPo{}).reward(p.rejected).item<double>(), 2.0 * (0.5 - 30) / 5);
}

struct Namesake {
  static constexpr const char* name = "dpo";
  Tensor operator()(const Pairs& p) const { return p.chosen.logp; }
};

TEST(PreferenceLoss, OneOfOnesOwnIsNotCalledAsOneOfTheCatalogue) {
  EXPECT_EQ(testing::error_of([] { config_json(PreferenceLoss(Namesake{})); }),
            "a loss of your own is called dpo, as one of the catalogue is; give it another name");
}

}  // namespace
}  // namespace prefer
