// Every figure is a function of sums over questions, so that questions can be resampled.
#include "prefer/eval/reward_figures.hpp"

#include "prefer/eval/pairwise.hpp"

#include <algorithm>
#include <cmath>
#include <functional>
#include <map>

namespace prefer {
namespace {

using Sums = std::vector<double>;

constexpr Interval kUnknown{NAN, NAN, NAN};
constexpr std::size_t kBins = 10;

double gap_of(const JudgedPair& pair) { return pair.chosen - pair.rejected; }

/// The sums that `of` gives of each pair, added up a question.
std::vector<Sums> by_question(const std::vector<JudgedPair>& pairs,
                              const std::function<Sums(const JudgedPair&)>& of) {
  std::map<std::string, Sums> questions;
  for (const JudgedPair& pair : pairs) {
    const Sums more = of(pair);
    Sums& sums = questions[pair.question];
    sums.resize(more.size());
    for (std::size_t i = 0; i < more.size(); ++i) sums[i] += more[i];
  }
  std::vector<Sums> clusters;
  for (auto& [_, sums] : questions) clusters.push_back(std::move(sums));
  return clusters;
}

Interval mean_of(const std::vector<JudgedPair>& pairs, const std::function<double(const JudgedPair&)>& value,
                 uint64_t seed) {
  const auto clusters = by_question(pairs, [&](const JudgedPair& pair) { return Sums{value(pair), 1}; });
  return bootstrap_statistic(
      clusters, [](const Sums& s) { return s[0] / s[1]; }, seed);
}

/// Of each pair, a number 0 .. of its question.
std::vector<std::size_t> number_questions(const std::vector<JudgedPair>& pairs) {
  std::map<std::string, std::size_t> known;
  std::vector<std::size_t> numbers;
  for (const JudgedPair& pair : pairs)
    numbers.push_back(known.try_emplace(pair.question, known.size()).first->second);
  return numbers;
}

Interval accuracy_of(const std::vector<JudgedPair>& pairs,
                     const std::function<double(const JudgedPair&)>& gap, uint64_t seed) {
  std::vector<double> margins;
  for (const JudgedPair& pair : pairs) margins.push_back(gap(pair));
  return pairwise_accuracy(margins, seed, number_questions(pairs));
}

/// For each tenth of [1/2, 1]: how many predictions, their sum, how many were right.
Sums calibration_sums(const JudgedPair& pair) {
  const double p = 1 / (1 + std::exp(-std::abs(gap_of(pair))));
  const auto bin = std::min(kBins - 1, static_cast<std::size_t>((2 * p - 1) * kBins));
  Sums sums(3 * kBins);
  sums[3 * bin] = 1;
  sums[3 * bin + 1] = p;
  sums[3 * bin + 2] = win(gap_of(pair));
  return sums;
}

double calibration_error(const Sums& sums) {
  double error = 0, count = 0;
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    error += std::abs(sums[3 * bin + 2] - sums[3 * bin + 1]);
    count += sums[3 * bin];
  }
  return error / count;
}

/// Of both answers x = tokens, y = score: n, x, y, xx, yy, xy.
Sums length_sums(const JudgedPair& pair) {
  Sums sums(6);
  for (const auto& [x, y] :
       {std::pair{pair.chosen_tokens, pair.chosen}, {pair.rejected_tokens, pair.rejected}}) {
    const double more[] = {1, x, y, x * x, y * y, x * y};
    for (std::size_t i = 0; i < 6; ++i) sums[i] += more[i];
  }
  return sums;
}

/// Pearson's; 0 where either is constant.
double correlation(const Sums& s) {
  const double xx = s[3] - s[1] * s[1] / s[0], yy = s[4] - s[2] * s[2] / s[0], xy = s[5] - s[1] * s[2] / s[0];
  return xx > 0 && yy > 0 ? xy / std::sqrt(xx * yy) : 0;
}

/// Pairs of each subset, in the order of their names.
std::map<std::string, std::vector<JudgedPair>> by_subset(const std::vector<JudgedPair>& pairs) {
  std::map<std::string, std::vector<JudgedPair>> subsets;
  for (const JudgedPair& pair : pairs)
    subsets[pair.subset.empty() ? "no subset" : pair.subset].push_back(pair);
  return subsets;
}

std::string count_of(const std::vector<JudgedPair>& pairs) {
  const std::size_t questions = by_question(pairs, [](const JudgedPair&) { return Sums{}; }).size();
  return std::to_string(pairs.size()) + " pairs of " + std::to_string(questions) + " questions";
}

}  // namespace

std::vector<Figure> reward_figures(const std::vector<JudgedPair>& pairs, uint64_t seed) {
  std::vector<double> margins, lengths;
  for (const JudgedPair& pair : pairs) {
    margins.push_back(gap_of(pair));
    lengths.push_back(pair.chosen_tokens - pair.rejected_tokens);
  }
  const auto longer = [](const JudgedPair& pair) { return pair.chosen_tokens - pair.rejected_tokens; };
  std::vector<Figure> figures;
  const auto add = [&](const std::string& name, const Interval& value, const std::string& note) {
    figures.push_back({name, kUnknown, value, note});
  };
  add("accuracy of the reward", accuracy_of(pairs, gap_of, seed),
      count_of(pairs) + "; a tie counts half, the interval is over questions");
  add("its length-controlled accuracy",
      length_controlled_accuracy(margins, lengths, seed, number_questions(pairs)),
      "the same, by a logistic model, among answers of one length");
  const auto subsets = by_subset(pairs);
  for (const auto& [name, part] : subsets) {
    if (subsets.size() == 1 && part.front().subset.empty()) break;
    add("its accuracy on " + name, accuracy_of(part, gap_of, seed), count_of(part));
  }
  add("its margin", mean_of(pairs, gap_of, seed),
      "mean score of the chosen answers minus that of the rejected");
  add("its expected calibration error",
      bootstrap_statistic(by_question(pairs, calibration_sums), calibration_error, seed),
      "mean distance of the predicted probability from the share right, in tenths of [1/2, 1]");
  add("correlation of score and length",
      bootstrap_statistic(by_question(pairs, length_sums), correlation, seed), "Pearson's, over all answers");
  add("baseline: choose the longer", accuracy_of(pairs, longer, seed), "accuracy on the same pairs");
  return figures;
}

std::vector<Figure> with_before(std::vector<Figure> after, const std::vector<Figure>& before) {
  for (Figure& figure : after) {
    const auto was = std::ranges::find(before, figure.name, &Figure::name);
    if (was != before.end()) figure.before = was->after;
  }
  return after;
}

Plot calibration_plot(const std::vector<JudgedPair>& pairs) {
  Sums sums(3 * kBins);
  for (const JudgedPair& pair : pairs) {
    const Sums more = calibration_sums(pair);
    for (std::size_t i = 0; i < sums.size(); ++i) sums[i] += more[i];
  }
  Plot plot{
      "share right by predicted probability", "", {{"calibrated", {{0.5, 0.5}, {1, 1}}}, {"held out", {}}}};
  for (std::size_t bin = 0; bin < kBins; ++bin) {
    const double n = sums[3 * bin];
    if (n > 0) plot.curves[1].points.emplace_back(sums[3 * bin + 1] / n, sums[3 * bin + 2] / n);
  }
  return plot;
}

}  // namespace prefer
