// The bootstrap interval of a mean against the normal approximation and its own definition.
#include "prefer/eval/bootstrap.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

TEST(Bootstrap, IsTheNormalIntervalForManyValues) {
  std::vector<double> values;  // uniform on (0, 1): variance 1/12
  for (uint64_t i = 0; i < 400; ++i) values.push_back(uniform({.seed = 9, .record = i}));
  const Interval interval = bootstrap_mean(values, 1, 0.95, 4000);
  const double half = 1.96 * std::sqrt(1.0 / 12 / 400);
  EXPECT_NEAR(interval.high - interval.low, 2 * half, 0.15 * 2 * half);
  EXPECT_LT(interval.low, interval.mean);
  EXPECT_GT(interval.high, interval.mean);
}

TEST(Bootstrap, ConstantValuesHaveNoSpread) {
  const Interval interval = bootstrap_mean({2.5, 2.5, 2.5}, 1);
  EXPECT_DOUBLE_EQ(interval.low, 2.5);
  EXPECT_DOUBLE_EQ(interval.high, 2.5);
}

TEST(Bootstrap, CoversTheTrueMeanAboutAsOftenAsItSays) {
  int covered = 0;
  for (uint64_t trial = 0; trial < 300; ++trial) {
    std::vector<double> values;
    for (uint64_t i = 0; i < 40; ++i) values.push_back(uniform({.seed = 77, .step = trial, .record = i}));
    const Interval interval = bootstrap_mean(values, trial, 0.9, 400);
    covered += interval.low <= 0.5 && 0.5 <= interval.high;
  }
  EXPECT_NEAR(covered / 300.0, 0.9, 0.06);  // three standard errors of the coverage
}

TEST(Bootstrap, OfClustersIsOfTheirMeansWhereTheyAreOfOneSizeAndWiderThanOfTheirMembers) {
  std::vector<double> sums, means, members;
  for (uint64_t c = 0; c < 50; ++c) {
    const double value = uniform({.seed = 3, .record = c});
    means.push_back(value);
    sums.push_back(4 * value);
    members.insert(members.end(), 4, value);  // all of a cluster are alike
  }
  const Interval clusters = bootstrap_ratio(sums, std::vector<double>(50, 4.0), 1),
                 of_means = bootstrap_mean(means, 1);
  EXPECT_NEAR(clusters.low, of_means.low, 1e-12);
  EXPECT_NEAR(clusters.high, of_means.high, 1e-12);
  const Interval alone = bootstrap_mean(members, 1);
  EXPECT_NEAR((clusters.high - clusters.low) / (alone.high - alone.low), 2, 0.3);  // sqrt(4)
  std::vector<std::size_t> cluster;
  for (std::size_t i = 0; i < members.size(); ++i) cluster.push_back(2 * (i / 4));  // numbers may be left out
  const Interval numbered = bootstrap_mean(members, cluster, 1);
  EXPECT_NEAR(numbered.low, clusters.low, 1e-12);
  EXPECT_NEAR(numbered.high, clusters.high, 1e-12);
  EXPECT_THROW(bootstrap_mean(members, std::vector<std::size_t>{0, 1}, 1), Error);
  EXPECT_DOUBLE_EQ(bootstrap_ratio({3, 1}, {1, 3}, 1).mean, 1.0);
  EXPECT_THROW(bootstrap_ratio({1, 2}, {1}, 1), Error);
}

TEST(Bootstrap, SameSeedSameInterval) {
  const std::vector<double> values = {1, 5, 2, 8, 3};
  EXPECT_EQ(bootstrap_mean(values, 4).low, bootstrap_mean(values, 4).low);
  EXPECT_THROW(bootstrap_mean({}, 1), Error);
  for (const int64_t resamples : {0, -1}) EXPECT_THROW(bootstrap_mean(values, 1, 0.95, resamples), Error);
  EXPECT_LE(bootstrap_mean(values, 1, 0.95, 1).low, 8);
}

}  // namespace
}  // namespace prefer
