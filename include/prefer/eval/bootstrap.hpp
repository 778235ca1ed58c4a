// Confidence intervals by resampling.
#pragma once

#include <cstdint>
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
};

/// The mean of `values` with its percentile bootstrap interval (Efron 1979): `resamples` means of as many
/// values drawn with replacement, keyed by `seed`. Values that belong together (several samples of one
/// prompt) are averaged by the caller first. Throws Error for no values or a confidence outside (0, 1).
Interval bootstrap_mean(const std::vector<double>& values, uint64_t seed, double confidence = 0.95,
                        int64_t resamples = 2000);

}  // namespace prefer
