// Confidence intervals by resampling.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// A mean and the interval that holds it with the asked confidence.
struct Interval {
  double mean = 0;
  double low = 0;
  double high = 0;

  /// "0.29 [0.25, 0.33]".
  std::string text() const;
  /// e to the power of all three: of a mean negative log-likelihood, the perplexity.
  Interval exp() const;
};

/// The mean of `values` with its percentile bootstrap interval (Efron 1979): `resamples` means of as many
/// values drawn with replacement, keyed by `seed`. Values that belong together (several samples of one
/// prompt) are averaged by the caller first. Throws as bootstrap_ratio does.
Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed, double confidence = 0.95,
                        int64_t resamples = 2000);

/// Whether values are resampled one by one: there are no clusters, or one alone, which tells of no other.
bool stand_alone(std::span<const std::size_t> cluster);

/// The mean of values of which some belong together (those of a question) and are resampled as one, 95 %.
/// `cluster`: a number 0 .. for each value; empty, or all the same: each stands alone. Throws as
/// bootstrap_ratio does.
Interval bootstrap_mean(const std::vector<double>& values, std::span<const std::size_t> cluster,
                        uint64_t seed);

/// sum(sums) / sum(counts): a mean over what comes in clusters (the tokens of a text, the pairs of a
/// question), with the interval that resampling whole clusters gives it. Throws Error for no clusters, for
/// lists of different lengths, for a confidence outside (0, 1), and for less than one resample.
Interval bootstrap_ratio(const std::vector<double>& sums, const std::vector<double>& counts, uint64_t seed,
                         double confidence = 0.95, int64_t resamples = 2000);

/// What is a function of sums over clusters, [sums of each], with the interval that resampling whole clusters
/// gives it. Throws as bootstrap_ratio does.
using Statistic = std::function<double(const std::vector<double>& sums)>;
Interval bootstrap_statistic(const std::vector<std::vector<double>>& clusters, const Statistic& statistic,
                             uint64_t seed, double confidence = 0.95, int64_t resamples = 2000);

/// Which of `n` values the resample of number `r` draws, with replacement. [n]
std::vector<std::size_t> resample(std::size_t n, uint64_t seed, uint64_t r);

/// `value` with the quantiles of what resamples gave for it; two lists where a resample leaves a range.
Interval percentile_interval(double value, std::vector<double> lows, std::vector<double> highs,
                             double confidence = 0.95);

/// The 95 % score interval of a share of `n` yes-or-no cases (Wilson 1927): honest where all are alike and
/// resampling shows no spread.
Interval wilson_interval(double share, std::size_t n);

}  // namespace prefer
