// Percentile bootstrap of a mean with keyed draws.
#include "prefer/eval/bootstrap.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <numeric>

namespace prefer {

Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed, double confidence,
                        int64_t resamples) {
  if (values.empty()) fail("a bootstrap interval wants at least one value, and there is none");
  if (!(confidence > 0 && confidence < 1)) fail("a confidence lies in (0, 1); ", confidence, " does not");
  const auto n = values.size();
  std::vector<double> means(static_cast<std::size_t>(resamples));
  for (std::size_t r = 0; r < means.size(); ++r) {
    double sum = 0;
    for (std::size_t i = 0; i < n; ++i) {
      const double u = uniform({.seed = seed, .step = r, .site = random_site::kBootstrap, .position = i});
      sum += values[std::min(n - 1, static_cast<std::size_t>(u * static_cast<double>(n)))];
    }
    means[r] = sum / static_cast<double>(n);
  }
  std::ranges::sort(means);
  const auto at = [&](double quantile) {
    return means[static_cast<std::size_t>(std::llround(quantile * static_cast<double>(means.size() - 1)))];
  };
  const double tail = (1 - confidence) / 2;
  return {std::accumulate(values.begin(), values.end(), 0.0) / static_cast<double>(n), at(tail),
          at(1 - tail)};
}

std::string Interval::text() const {
  char line[80];
  std::snprintf(line, sizeof line, "%.4g [%.4g, %.4g]", mean, low, high);
  return line;
}

}  // namespace prefer
