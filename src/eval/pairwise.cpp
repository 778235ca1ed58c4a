// Accuracies of rankings of pairs; the logistic model by Newton's method.
#include "prefer/eval/pairwise.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <optional>
#include <set>

namespace prefer {
namespace {

constexpr uint64_t kResamples = 2000;

double sign(double value) { return value > 0 ? 1 : value < 0 ? -1 : 0; }

/// Of each pair. [N]
std::vector<double> wins(std::span<const double> margins) {
  std::vector<double> result;
  for (const double margin : margins) {
    if (std::isnan(margin)) fail("a margin of pair ", result.size() + 1, " is not a number");
    result.push_back(win(margin));
  }
  return result;
}

void check_same_pairs(std::size_t a, std::size_t b) {
  if (a != b) fail("two scores are compared on the same pairs, not on ", a, " and ", b);
}

/// A pair as the model sees it, the chosen answer called a: P(chosen) = sigmoid(theta s + phi t).
struct Seen {
  double s, t, weight;
};

struct Sums {
  double loss = 0, g0 = 0, g1 = 0, h00 = 0, h01 = 0, h11 = 0;  // negative log-likelihood and derivatives
};

Sums sums_at(std::span<const Seen> pairs, double theta, double phi) {
  Sums sum;
  for (const auto& [s, t, weight] : pairs) {
    const double z = theta * s + phi * t;
    const double wrong = 1 / (1 + std::exp(z));
    sum.loss += weight * (z > 0 ? std::log1p(std::exp(-z)) : std::log1p(std::exp(z)) - z);
    sum.g0 -= weight * wrong * s;
    sum.g1 -= weight * wrong * t;
    const double curve = weight * wrong * (1 - wrong);
    sum.h00 += curve * s * s;
    sum.h01 += curve * s * t;
    sum.h11 += curve * t * t;
  }
  return sum;
}

/// theta at the maximum of the likelihood; nothing where it lies at infinity or anywhere on a line.
std::optional<double> fit_theta(std::span<const Seen> pairs) {
  constexpr double kFar = 30;  // where a sigmoid is 1 to the last bit: the pairs are separated
  double theta = 0, phi = 0;
  Sums now = sums_at(pairs, theta, phi);
  for (int iteration = 0; iteration < 60; ++iteration) {
    const double determinant = now.h00 * now.h11 - now.h01 * now.h01;
    if (!(determinant > 1e-12 * now.h00 * now.h11)) return {};
    double d0 = (now.h01 * now.g1 - now.h11 * now.g0) / determinant;
    double d1 = (now.h01 * now.g0 - now.h00 * now.g1) / determinant;
    if (std::abs(d0) + std::abs(d1) < 1e-10) return theta + d0;
    Sums next = sums_at(pairs, theta + d0, phi + d1);
    const double rounding = 1e-12 * (1 + now.loss);
    for (int halving = 0; halving < 40 && next.loss > now.loss + rounding; ++halving) {
      d0 /= 2, d1 /= 2;
      next = sums_at(pairs, theta + d0, phi + d1);
    }
    theta += d0, phi += d1;
    now = next;
    if (std::abs(theta) > kFar || std::abs(phi) > kFar) return {};
  }
  return {};
}

/// The accuracy of weighted pairs; nothing where the model has no maximum.
std::optional<double> controlled(std::span<const Seen> pairs) {
  double right = 0, wrong = 0, tied = 0;
  bool lengths_differ = false;
  for (const Seen& pair : pairs) {
    (pair.s > 0 ? right : pair.s < 0 ? wrong : tied) += pair.weight;
    lengths_differ |= pair.weight > 0 && pair.t != 0;
  }
  const double total = right + wrong + tied;
  if (right == 0 || wrong == 0 || !lengths_differ) return (right + tied / 2) / total;
  const std::optional<double> theta = fit_theta(pairs);
  if (!theta) return {};
  return ((right + wrong) / (1 + std::exp(-*theta)) + tied / 2) / total;
}

std::vector<Seen> as_seen(std::span<const double> margins, std::span<const double> length) {
  double square = 0;
  for (const double d : length) square += d * d;
  const double sigma = std::sqrt(square / static_cast<double>(length.size()));
  std::vector<Seen> pairs;
  for (std::size_t i = 0; i < margins.size(); ++i)
    pairs.push_back({sign(margins[i]), sigma > 0 ? std::tanh(length[i] / sigma) : 0, 1});
  return pairs;
}

}  // namespace

Interval pairwise_accuracy(std::span<const double> margins, uint64_t seed,
                           std::span<const std::size_t> cluster) {
  const std::vector<double> each = wins(margins);
  const Interval interval = bootstrap_mean(each, cluster, seed);
  if (interval.low < interval.high) return interval;
  const std::size_t clusters = std::set<std::size_t>(cluster.begin(), cluster.end()).size();
  return wilson_interval(interval.mean, stand_alone(cluster) ? each.size() : clusters);
}

Interval accuracy_gain(std::span<const double> margins, std::span<const double> baseline, uint64_t seed,
                       std::span<const std::size_t> cluster) {
  check_same_pairs(margins.size(), baseline.size());
  std::vector<double> gains = wins(margins);
  const std::vector<double> other = wins(baseline);
  for (std::size_t i = 0; i < gains.size(); ++i) gains[i] -= other[i];
  return bootstrap_mean(gains, cluster, seed);
}

Interval length_controlled_accuracy(std::span<const double> margins, std::span<const double> length,
                                    uint64_t seed, std::span<const std::size_t> cluster) {
  check_same_pairs(margins.size(), length.size());
  std::vector<std::vector<std::size_t>> together;
  const bool alone = stand_alone(cluster);
  for (std::size_t i = 0; i < margins.size(); ++i) {
    const std::size_t which = alone ? i : cluster[i];
    together.resize(std::max(together.size(), which + 1));
    together[which].push_back(i);
  }
  const double plain = pairwise_accuracy(margins, seed).mean;
  std::vector<Seen> pairs = as_seen(margins, length);
  const std::optional<double> value = controlled(pairs);
  if (!value) return {NAN, NAN, NAN};
  if (plain == 0 || plain == 1) return wilson_interval(plain, together.size());
  std::vector<double> lows, highs;
  for (uint64_t r = 0; r < kResamples; ++r) {
    for (Seen& pair : pairs) pair.weight = 0;
    for (const std::size_t which : resample(together.size(), seed, r))
      for (const std::size_t i : together[which]) pairs[i].weight += 1;
    const std::optional<double> drawn = controlled(pairs);
    lows.push_back(drawn.value_or(0));
    highs.push_back(drawn.value_or(1));
  }
  return percentile_interval(*value, lows, highs);
}

}  // namespace prefer
