// Credit: estimators against sums over all outcomes, whitening and rewards against closed forms, the
// controller.
#include "prefer/credit/kl_controller.hpp"
#include "prefer/credit/kl_estimators.hpp"
#include "prefer/credit/rewards.hpp"
#include "support/error.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

using testing::error_of;

Tensor numbers(std::vector<double> values) { return tensor_of(values, at::kDouble); }

TEST(KlEstimators, MeansOverAllOutcomesAreTheKl) {
  const Tensor p = numbers({0.5, 0.3, 0.2}), q = numbers({0.4, 0.25, 0.35});
  const Tensor ratio = (p / q).log();
  const double kl = 0.5 * std::log(0.5 / 0.4) + 0.3 * std::log(0.3 / 0.25) + 0.2 * std::log(0.2 / 0.35);
  EXPECT_NEAR((p * kl_estimate("k1", ratio)).sum().item<double>(), kl, 1e-15);
  EXPECT_NEAR((p * kl_estimate("k3", ratio)).sum().item<double>(), kl, 1e-15);
  EXPECT_NEAR((p * kl_estimate("k2", ratio)).sum().item<double>(), kl, 0.02);  // biased
  EXPECT_GE(kl_estimate("k3", ratio).min().item<double>(), 0);
}

TEST(KlEstimators, K2sGradientIsThatOfTheKl) {
  // d/dx of KL(softmax(x) || q) is sum_j p_j q_j d log p_j, which k2 has on samples of p held fixed.
  Tensor x = numbers({0.3, -0.2, 0.5}).requires_grad_();
  const Tensor q = numbers({0.4, 0.25, 0.35}).log();
  const Tensor logp = at::log_softmax(x, 0), p = logp.detach().exp();
  (p * kl_estimate("k2", logp - q)).sum().backward();
  const Tensor estimated = x.grad().clone();
  x.mutable_grad().zero_();
  const Tensor exact = at::log_softmax(x, 0);
  (exact.exp() * (exact - q)).sum().backward();
  EXPECT_LT((estimated - x.grad()).abs().max().item<double>(), 1e-15);
}

TEST(KlEstimators, RefuseAnotherName) {
  EXPECT_EQ(error_of([] { kl_estimate("k4", numbers({1})); }),
            "there is no estimator of the KL called k4; there are k1, k2 and k3");
}

TEST(Whiten, IsTheClosedForm) {
  const Tensor x = numbers({1, 2, 3, 6});  // mean 3, unbiased variance 14/3
  const double scale = 1 / std::sqrt(14.0 / 3 + 1e-8);
  const Tensor centred = whiten(x, true), kept = whiten(x, false);
  for (int64_t i = 0; i < 4; ++i) {
    EXPECT_NEAR(centred[i].item<double>(), (x[i].item<double>() - 3) * scale, 1e-15);
    EXPECT_NEAR(kept[i].item<double>(), (x[i].item<double>() - 3) * scale + 3, 1e-15);
  }
}

TEST(Whiten, HasTheSameBitsWithAnyNumberOfThreads) {
  const Tensor x = at::arange(40'000, at::kDouble).sin();  // LibTorch cuts sums of so many
  const int threads = at::get_num_threads();
  std::vector<Tensor> seen;
  for (const int n : {1, 2, 3}) {
    at::set_num_threads(n);
    seen.push_back(whiten(x, true));
  }
  at::set_num_threads(threads);
  EXPECT_TRUE(at::equal(seen[1], seen[0]));
  EXPECT_TRUE(at::equal(seen[2], seen[0]));
}

TEST(Whiten, OneNumberAndEqualNumbersStayFinite) {
  EXPECT_EQ(whiten(numbers({5}), true).item<double>(), 0);
  EXPECT_EQ(whiten(numbers({5}), false).item<double>(), 5);
  EXPECT_EQ(whiten(numbers({2, 2, 2}), true).abs().max().item<double>(), 0);
}

TEST(TokenRewards, PenaliseEachTokenAndPayAtTheLast) {
  const Tensor kl = numbers({0.1, 0.2, -0.3, 0.4, 0.5}), score = numbers({7, -2});
  const Tensor reward = token_rewards(kl, score, tensor_of(std::vector<int64_t>{2, 4}, at::kLong), 0.5);
  const std::vector<double> expected = {-0.05, -0.1, 0.15 + 7, -0.2, -0.25 - 2};
  for (int64_t i = 0; i < 5; ++i)
    EXPECT_NEAR(reward[i].item<double>(), expected[static_cast<size_t>(i)], 1e-15);
}

TEST(KlController, MovesAsZieglerEtAlSay) {
  KlController controller(0.2, 6, 10000);
  controller.update(0, 9, 512);  // error clip(0.5) = 0.2
  EXPECT_DOUBLE_EQ(controller.coefficient(), 0.2 * (1 + 0.2 * 512 / 10000));
  controller.update(1, 5.7, 512);  // error -0.05
  EXPECT_DOUBLE_EQ(controller.coefficient(),
                   0.2 * (1 + 0.2 * 512 / 10000) * (1 + (5.7 / 6 - 1) * 512 / 10000));
}

TEST(KlController, AnIterationCountsOnceAndWithoutATargetNothingMoves) {
  KlController controller(0.2, 6, 10000);
  controller.update(0, 9, 512);
  const double once = controller.coefficient();
  controller.update(0, 9, 512);
  EXPECT_EQ(controller.coefficient(), once);
  KlController fixed(0.05, 0, 10000);
  fixed.update(0, 100, 512);
  EXPECT_EQ(fixed.coefficient(), 0.05);
}

TEST(KlController, GoesOnFromItsState) {
  KlController whole(0.2, 6, 1000), cut(0.2, 6, 1000);
  for (int64_t i = 0; i < 3; ++i) whole.update(i, 4 + static_cast<double>(i), 64);
  for (int64_t i = 0; i < 2; ++i) cut.update(i, 4 + static_cast<double>(i), 64);
  KlController rest(0.2, 6, 1000);
  rest.restore(cut.state());
  rest.update(1, 5, 64);
  rest.update(2, 6, 64);
  EXPECT_EQ(rest.coefficient(), whole.coefficient());
  EXPECT_EQ(error_of([&] { rest.restore({}); }), "the checkpoint lacks kl_coef");
}

}  // namespace
}  // namespace prefer
