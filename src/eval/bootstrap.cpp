// Percentile bootstrap with keyed draws, and Wilson's interval for where it shows no spread.
#include "prefer/eval/bootstrap.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <map>
#include <numeric>

namespace prefer {

std::vector<std::size_t> resample(std::size_t n, uint64_t seed, uint64_t r) {
  std::vector<std::size_t> drawn(n);
  for (std::size_t i = 0; i < n; ++i) {
    const double u = uniform({.seed = seed, .step = r, .site = random_site::kBootstrap, .position = i});
    drawn[i] = std::min(n - 1, static_cast<std::size_t>(u * static_cast<double>(n)));
  }
  return drawn;
}

Interval percentile_interval(double value, std::vector<double> lows, std::vector<double> highs,
                             double confidence) {
  const auto at = [](std::vector<double>& values, double quantile) {
    std::ranges::sort(values);
    return values[static_cast<std::size_t>(std::llround(quantile * static_cast<double>(values.size() - 1)))];
  };
  const double tail = (1 - confidence) / 2;
  return {value, at(lows, tail), at(highs, 1 - tail)};
}

Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed, double confidence,
                        int64_t resamples) {
  return bootstrap_ratio(values, std::vector<double>(values.size(), 1.0), seed, confidence, resamples);
}

bool stand_alone(std::span<const std::size_t> cluster) {
  return std::ranges::adjacent_find(cluster, std::ranges::not_equal_to()) == cluster.end();
}

Interval bootstrap_mean(const std::vector<double>& values, std::span<const std::size_t> cluster,
                        uint64_t seed) {
  if (stand_alone(cluster)) return bootstrap_mean(values, seed);
  if (cluster.size() != values.size())
    fail("a bootstrap interval wants a cluster for each of ", values.size(), " values, not ", cluster.size());
  std::map<std::size_t, std::pair<double, double>> totals;  // sum and count of each cluster that has a value
  for (std::size_t i = 0; i < values.size(); ++i) {
    totals[cluster[i]].first += values[i];
    totals[cluster[i]].second += 1;
  }
  std::vector<double> sums, counts;
  for (const auto& [_, total] : totals) {
    sums.push_back(total.first);
    counts.push_back(total.second);
  }
  return bootstrap_ratio(sums, counts, seed);
}

Interval bootstrap_ratio(const std::vector<double>& sums, const std::vector<double>& counts, uint64_t seed,
                         double confidence, int64_t resamples) {
  if (sums.size() != counts.size())
    fail("a bootstrap interval wants a count for each of ", sums.size(), " sums, not ", counts.size());
  std::vector<std::vector<double>> clusters;
  for (std::size_t i = 0; i < sums.size(); ++i) clusters.push_back({sums[i], counts[i]});
  const auto ratio = [](const std::vector<double>& total) { return total[0] / total[1]; };
  return bootstrap_statistic(clusters, ratio, seed, confidence, resamples);
}

Interval bootstrap_statistic(const std::vector<std::vector<double>>& clusters, const Statistic& statistic,
                             uint64_t seed, double confidence, int64_t resamples) {
  if (clusters.empty()) fail("a bootstrap interval wants at least one value, and there is none");
  if (!(confidence > 0 && confidence < 1)) fail("a confidence lies in (0, 1); ", confidence, " does not");
  if (resamples < 1) fail("a bootstrap interval wants 1 resample or more, not ", resamples);
  const auto of = [&](const std::vector<std::size_t>& drawn) {
    std::vector<double> total(clusters.front().size());
    for (const std::size_t i : drawn) {
      for (std::size_t k = 0; k < total.size(); ++k) total[k] += clusters[i][k];
    }
    return statistic(total);
  };
  std::vector<double> values(static_cast<std::size_t>(resamples));
  for (std::size_t r = 0; r < values.size(); ++r) values[r] = of(resample(clusters.size(), seed, r));
  std::vector<std::size_t> all(clusters.size());
  std::iota(all.begin(), all.end(), std::size_t{0});
  return percentile_interval(of(all), values, values, confidence);
}

Interval wilson_interval(double share, std::size_t n) {
  if (n == 0) fail("an interval wants at least one case, and there is none");
  constexpr double z = 1.959963984540054;  // the normal distribution's quantile at 0.975
  const auto count = static_cast<double>(n);
  const double shrink = 1 / (1 + z * z / count);
  const double centre = shrink * (share + z * z / (2 * count));
  const double half = shrink * z * std::sqrt(share * (1 - share) / count + z * z / (4 * count * count));
  return {share, std::max(0.0, centre - half), std::min(1.0, centre + half)};
}

std::string Interval::text() const {
  if (std::isnan(mean)) return "not measured";
  char line[80];
  std::snprintf(line, sizeof line, "%.4g [%.4g, %.4g]", mean, low, high);
  return line;
}

Interval Interval::exp() const { return {std::exp(mean), std::exp(low), std::exp(high)}; }

}  // namespace prefer
