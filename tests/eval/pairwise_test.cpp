// Accuracies of pairs against statsmodels, closed forms, and what may not change them.
#include "prefer/eval/pairwise.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/core/random.hpp"
#include "support/data.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

namespace prefer {
namespace {

std::vector<double> numbers(const Json& list) {
  std::vector<double> values;
  for (const Json& value : list.as_array()) values.push_back(value.as_number());
  return values;
}

TEST(Wilson, IsTheTextbookInterval) {
  // 81 of 263: 0.308 [0.2553, 0.3662] (Newcombe 1998, table I, method 3).
  const Interval interval = wilson_interval(81.0 / 263, 263);
  EXPECT_NEAR(interval.low, 0.2553, 5e-5);
  EXPECT_NEAR(interval.high, 0.3662, 5e-5);
  EXPECT_NEAR(wilson_interval(1, 100).low, 100 / (100 + 1.959963984540054 * 1.959963984540054), 1e-12);
}

TEST(PairwiseAccuracy, CountsTiesHalfAndIsHonestWhereAllPairsAreAlike) {
  EXPECT_DOUBLE_EQ(pairwise_accuracy(std::vector<double>{2, -1, 0, 3}, 1).mean, 0.625);
  const Interval all = pairwise_accuracy(std::vector<double>(50, 0.1), 1);
  EXPECT_EQ(all.mean, 1);
  EXPECT_NEAR(all.low, wilson_interval(1, 50).low, 1e-15);
  EXPECT_THROW(pairwise_accuracy(std::vector<double>{}, 1), Error);
  EXPECT_THROW(pairwise_accuracy(std::vector<double>{1, NAN}, 1), Error);
}

TEST(PairwiseAccuracy, GainsArePairedSoThatEqualScoresHaveNoSpread) {
  const std::vector<double> score = {1, -2, 3, 0, -1, 2}, scaled = {10, -20, 30, 0, -10, 20};
  const Interval none = accuracy_gain(score, scaled, 1);
  EXPECT_EQ(none.low, 0);
  EXPECT_EQ(none.high, 0);
  EXPECT_NEAR(accuracy_gain(score, std::vector<double>{1, 1, 1, 1, 1, 1}, 1).mean, 3.5 / 6 - 1, 1e-15);
  EXPECT_THROW(accuracy_gain(score, std::vector<double>{1}, 1), Error);
}

TEST(LengthControlled, EqualsStatsmodels) {
  PosixFs fs;
  const Json file = parse_json(read_file(fs, testing::golden("pairwise.json"), 1 << 20), "pairwise.json");
  for (const Json& known : file.at("cases").as_array()) {
    const auto margins = numbers(known.at("margins")), length = numbers(known.at("length"));
    const Interval ours = length_controlled_accuracy(margins, length, 1);
    EXPECT_NEAR(pairwise_accuracy(margins, 1).mean, known.at("accuracy").as_number(), 1e-12);
    EXPECT_NEAR(ours.mean, known.at("controlled").as_number(), 1e-8);
    // The bootstrap is about as wide as the normal interval of theta, taken through the sigmoid.
    const double theta = known.at("theta").as_number(), half = 1.96 * known.at("theta_error").as_number();
    const double wide = 1 / (1 + std::exp(-theta - half)) - 1 / (1 + std::exp(-theta + half));
    EXPECT_NEAR(ours.high - ours.low, wide, 0.2 * wide);
  }
}

/// Picks that are as long as the other answer, or 40 tokens longer: two groups for two parameters, so that
/// the model gives back each group's own accuracy.
TEST(LengthControlled, IsTheAccuracyAmongEqualLengthsWhereThatCanBeRead) {
  std::vector<double> margins, length;
  const auto add = [&](int count, double margin, double difference) {
    for (int i = 0; i < count; ++i) margins.push_back(margin), length.push_back(difference);
  };
  add(30, 1, 0), add(20, -1, 0);    // equal lengths: 0.6
  add(45, 1, 40), add(5, -1, -40);  // the pick is longer: 0.9
  EXPECT_NEAR(pairwise_accuracy(margins, 1).mean, 0.75, 1e-12);
  EXPECT_NEAR(length_controlled_accuracy(margins, length, 1).mean, 0.6, 1e-9);
  add(100, 0, 0);  // ties: half of them right
  EXPECT_NEAR(length_controlled_accuracy(margins, length, 1).mean, 0.55, 1e-9);
}

TEST(Pairwise, PairsOfOneQuestionCountAsOne) {
  const std::vector<double> once = {1, -1, 2, 0, 3, -2, 1, -1}, other = {-1, -1, 1, 1, 0, 2, 1, -1};
  std::vector<double> often, other_often;
  std::vector<std::size_t> question;
  for (std::size_t i = 0; i < once.size(); ++i) {
    often.insert(often.end(), 5, once[i]);
    other_often.insert(other_often.end(), 5, other[i]);
    question.insert(question.end(), 5, i);
  }
  const auto expect_equal = [](const Interval& a, const Interval& b) {
    EXPECT_NEAR(a.mean, b.mean, 1e-12);
    EXPECT_NEAR(a.low, b.low, 1e-12);
    EXPECT_NEAR(a.high, b.high, 1e-12);
  };
  expect_equal(pairwise_accuracy(often, 2, question), pairwise_accuracy(once, 2));
  expect_equal(accuracy_gain(often, other_often, 2, question), accuracy_gain(once, other, 2));
  const std::vector<std::size_t> one(40, 7);  // a single question tells of no other: pairs stand alone
  expect_equal(pairwise_accuracy(often, 2, one), pairwise_accuracy(often, 2));
  const std::vector<double> halves = {1, -1, 1, -1, 1, -1};  // of each question one won, one lost: no spread
  const Interval wilson = wilson_interval(0.5, 3);
  expect_equal(pairwise_accuracy(halves, 2, std::vector<std::size_t>{0, 0, 1, 1, 2, 2}), wilson);
  const std::vector<double> won(15, 1.0);
  expect_equal(pairwise_accuracy(won, 2, std::span(question).first(15)),
               pairwise_accuracy(std::vector(3, 1.0), 2));
}

TEST(LengthControlled, IsThePlainAccuracyWhereAllLengthsAreEqual) {
  const std::vector<double> margins = {1, 2, -1, 0, 3, -2, 1}, none(7, 0.0);
  const Interval plain = pairwise_accuracy(margins, 3),
                 controlled = length_controlled_accuracy(margins, none, 3);
  EXPECT_DOUBLE_EQ(controlled.mean, plain.mean);
  EXPECT_DOUBLE_EQ(controlled.low, plain.low);
  EXPECT_DOUBLE_EQ(controlled.high, plain.high);
}

TEST(LengthControlled, AScoreThatIsLengthAloneKnowsNothingElse) {
  std::vector<double> length;  // people choose the longer with probability sigmoid(1.5 d)
  for (uint64_t i = 0; i < 4000; ++i) {
    const double d = 2 * uniform({.seed = 5, .record = i}) - 1;
    length.push_back(uniform({.seed = 6, .record = i}) < 1 / (1 + std::exp(-1.5 * d)) ? d : -d);
  }
  EXPECT_GT(pairwise_accuracy(length, 1).low, 0.6);
  const Interval controlled = length_controlled_accuracy(length, length, 1);
  EXPECT_LT(controlled.low, 0.5);
  EXPECT_GT(controlled.high, 0.5);
}

TEST(LengthControlled, PairsOfAQuestionAreResampledAsOne) {
  const std::vector<double> margins = {1, 2, -1, 1, 3, -2, 1, 1, -1, 2},
                            length = {1, -3, 2, 4, -2, 1, 2, -1, 3, 1};
  const Interval once = length_controlled_accuracy(margins, length, 3);
  std::vector<double> many_margins, many_length;
  std::vector<std::size_t> question;
  for (std::size_t i = 0; i < margins.size(); ++i) {
    for (int copy = 0; copy < 20; ++copy) {
      many_margins.push_back(margins[i]);
      many_length.push_back(length[i]);
      question.push_back(i);
    }
  }
  const Interval clustered = length_controlled_accuracy(many_margins, many_length, 3, question);
  EXPECT_NEAR(clustered.mean, once.mean, 1e-9);
  EXPECT_NEAR(clustered.low, once.low, 1e-9);
  EXPECT_NEAR(clustered.high, once.high, 1e-9);
  EXPECT_LT(once.low, length_controlled_accuracy(many_margins, many_length, 3).low)
      << "apart they look like more";
}

TEST(LengthControlled, SaysSoWhereThePairsDecideNothing) {
  // Right where the pick is longer, wrong where it is shorter: any steeper curve fits better.
  const std::vector<double> margins = {1, 1, -1, -1}, length = {10, 20, 15, 30};
  EXPECT_TRUE(std::isnan(length_controlled_accuracy(margins, length, 1).mean));
  const std::vector<double> right = {1, 2, 3, 4};
  EXPECT_EQ(length_controlled_accuracy(right, length, 1).mean, 1);
  EXPECT_LT(length_controlled_accuracy(right, length, 1).low, 0.6);
}

}  // namespace
}  // namespace prefer
