// What is said of held-out pairs in a report: accuracies beside what needs no training, with intervals.
#pragma once

#include "prefer/eval/report.hpp"

#include <vector>

namespace prefer {

/// Of each pair, chosen minus rejected. [N] each
struct PairScores {
  std::vector<double> margin = {};     ///< the trained reward
  std::vector<double> length = {};     ///< tokens
  std::vector<double> reference = {};  ///< log-prob under the reference, summed; empty where there is none
  std::vector<double> reference_mean = {};  ///< the same a token
  /// Which pairs are of one question, and are resampled as one: a number 0 .. of each; empty: none are.
  std::vector<std::size_t> question = {};
};

/// Accuracy, length-controlled accuracy and margin of the reward; the accuracies of baselines: choose the
/// longer answer, or the one that the reference finds likelier; and what the reward's is above each, paired.
/// With `starts_level` the reward of both answers was 0 before training, so that every pair was a tie;
/// otherwise what was before is not known. Throws Error for no pairs.
std::vector<Figure> pair_figures(const PairScores& scores, bool starts_level, uint64_t seed);

}  // namespace prefer
