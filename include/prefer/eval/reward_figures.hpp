// What is said of a reward model on held-out pairs: how often it is right, how sure it may be, what its
// scores owe to length.
#pragma once

#include "prefer/eval/report.hpp"

#include <string>
#include <vector>

namespace prefer {

/// A held-out pair, its answers scored.
struct JudgedPair {
  double chosen = 0, rejected = 0;                ///< scores
  double chosen_tokens = 0, rejected_tokens = 0;  ///< lengths of the answers
  std::string question = {};                      ///< pairs of one question belong together
  std::string subset = {};                        ///< or empty
};

/// Accuracy (a tie counts half), length-controlled accuracy, the accuracy of each subset where there are any,
/// and of choosing the longer answer; the mean margin; the expected calibration error; the correlation of
/// score and length. Intervals come from resampling questions. `before` of each is unknown, NaN. Throws Error
/// for no pairs.
std::vector<Figure> reward_figures(const std::vector<JudgedPair>& pairs, uint64_t seed);

/// The figures of `after` with those of the same names in `before` beside them.
std::vector<Figure> with_before(std::vector<Figure> after, const std::vector<Figure>& before);

/// Of predictions p = sigmoid(|s_w - s_l|) that the answer with the higher score is the chosen one, those
/// within each tenth of [1/2, 1]: the mean p, and the share that was right. Their mean distance, weighted by
/// how many each tenth has, is the expected calibration error (Guo et al. 2017, eq. 3, arXiv 1706.04599).
Plot calibration_plot(const std::vector<JudgedPair>& pairs);

}  // namespace prefer
