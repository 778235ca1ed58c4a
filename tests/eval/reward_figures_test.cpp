// Figures of a reward model on held-out pairs against their closed forms.
#include "prefer/eval/reward_figures.hpp"

#include "prefer/core/random.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace prefer {
namespace {

Figure find(const std::vector<Figure>& figures, const std::string& name) {
  const auto found = std::ranges::find(figures, name, &Figure::name);
  EXPECT_NE(found, figures.end()) << name;
  return found == figures.end() ? Figure{} : *found;
}

/// Four questions of five pairs, each with a gap of its own; the chosen answer is the longer one.
std::vector<JudgedPair> example() {
  std::vector<JudgedPair> pairs;
  for (int q = 0; q < 4; ++q) {
    for (int k = 0; k < 5; ++k)
      pairs.push_back({.chosen = q == 0 ? -1.0 : 1.0 + q,
                       .rejected = 0,
                       .chosen_tokens = 10.0 + k,
                       .rejected_tokens = 5.0 + k,
                       .question = "q" + std::to_string(q),
                       .subset = q < 2 ? "hard" : "easy"});
  }
  return pairs;
}

TEST(RewardFigures, CountPairsAndResampleQuestions) {
  const std::vector<Figure> figures = reward_figures(example(), 1);
  const Interval accuracy = find(figures, "accuracy of the reward").after;
  EXPECT_DOUBLE_EQ(accuracy.mean, 0.75);
  EXPECT_EQ(accuracy.low, 0.25);  // quarters alone: whole questions are drawn
  EXPECT_EQ(accuracy.high, 1);
  EXPECT_DOUBLE_EQ(find(figures, "its accuracy on hard").after.mean, 0.5);
  EXPECT_DOUBLE_EQ(find(figures, "its accuracy on easy").after.mean, 1);
  EXPECT_LT(find(figures, "its accuracy on easy").after.low, 0.4);  // two questions prove little
  EXPECT_DOUBLE_EQ(find(figures, "its margin").after.mean, (-1 + 2 + 3 + 4) / 4.0);
  EXPECT_DOUBLE_EQ(find(figures, "baseline: choose the longer").after.mean, 1);
}

TEST(RewardFigures, OfPairsThatNameNoSubsetHaveNone) {
  std::vector<JudgedPair> pairs = example();
  for (JudgedPair& pair : pairs) pair.subset.clear();
  for (const Figure& figure : reward_figures(pairs, 1))
    EXPECT_FALSE(figure.name.starts_with("its accuracy on"));
  pairs.front().subset = "named";
  const std::vector<Figure> figures = reward_figures(pairs, 1);
  EXPECT_DOUBLE_EQ(find(figures, "its accuracy on named").after.mean, 0);
  EXPECT_DOUBLE_EQ(find(figures, "its accuracy on no subset").after.mean, 15.0 / 19);
}

/// Pairs whose chosen answer won with the probability that `temperature` times their gap predicts.
std::vector<JudgedPair> drawn(double temperature) {
  std::vector<JudgedPair> pairs;
  for (uint64_t i = 0; i < 8000; ++i) {
    const double gap = 4 * uniform({.seed = 1, .record = i});
    const bool right = uniform({.seed = 2, .record = i}) < 1 / (1 + std::exp(-gap));
    pairs.push_back({.chosen = right ? temperature * gap : 0,
                     .rejected = right ? 0 : temperature * gap,
                     .question = std::to_string(i % 100)});
  }
  return pairs;
}

TEST(Calibration, IsSeenWhereProbabilitiesAreRight) {
  EXPECT_LT(find(reward_figures(drawn(1), 1), "its expected calibration error").after.mean, 0.025);
  const Plot plot = calibration_plot(drawn(1));
  EXPECT_EQ(plot.curves[1].points.size(), 10u);
  for (const auto& [p, right] : plot.curves[1].points) EXPECT_NEAR(p, right, 0.1);  // four standard errors
}

TEST(Calibration, AndMissedWhereScoresAreTooFarApart) {
  // Scores three times too far apart: the mean of |sigmoid(3 g) - sigmoid(g)| over g in 0..4.
  double expected = 0;
  constexpr int kSteps = 4000;
  for (int i = 0; i < kSteps; ++i) {
    const double g = 4 * (i + 0.5) / kSteps;
    expected += (1 / (1 + std::exp(-3 * g)) - 1 / (1 + std::exp(-g))) / kSteps;
  }
  EXPECT_NEAR(find(reward_figures(drawn(3), 1), "its expected calibration error").after.mean, expected, 0.01);
}

TEST(LengthCorrelation, IsPearsons) {
  std::vector<JudgedPair> pairs = example();
  for (JudgedPair& pair : pairs) {
    pair.chosen = 3 - 2 * pair.chosen_tokens;
    pair.rejected = 3 - 2 * pair.rejected_tokens;
  }
  EXPECT_NEAR(find(reward_figures(pairs, 1), "correlation of score and length").after.mean, -1, 1e-12);
  for (JudgedPair& pair : pairs) pair.chosen = pair.rejected = 1;
  EXPECT_EQ(find(reward_figures(pairs, 1), "correlation of score and length").after.mean, 0);
}

TEST(RewardFigures, StandBesideThoseOfBefore) {
  const std::vector<Figure> after = reward_figures(example(), 1);
  EXPECT_TRUE(std::isnan(with_before(after, {}).front().before.mean));
  std::vector<JudgedPair> ties = example();
  for (JudgedPair& pair : ties) pair.chosen = pair.rejected = 0;
  EXPECT_EQ(with_before(after, reward_figures(ties, 1)).front().before.mean, 0.5);
}

}  // namespace
}  // namespace prefer
