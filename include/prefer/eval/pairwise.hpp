// How often a score ranks the answer that people chose above the one they rejected, and what is left of that
// among answers of one length. A margin is the score of the chosen answer minus that of the rejected one.
#pragma once

#include "prefer/eval/bootstrap.hpp"

#include <span>
#include <vector>

namespace prefer {

/// 1 where a pair is ranked as people did, its margin above 0; 1/2 for a tie; 0 where not.
inline double win(double margin) { return margin > 0 ? 1 : margin == 0 ? 0.5 : 0; }

/// The share of pairs whose margin is above 0; a tie counts half. The 95 % interval is a bootstrap over
/// clusters of pairs; where all clusters are alike it is Wilson's. `cluster`: which pairs belong together
/// (those of a question) and are resampled as one, by a number 0 .. for each; empty, or all the same: each
/// stands alone. Throws Error for no pairs.
Interval pairwise_accuracy(std::span<const double> margins, uint64_t seed,
                           std::span<const std::size_t> cluster = {});

/// By how much the accuracy of one score is above that of another on the same pairs, with the bootstrap
/// interval of the paired difference. `cluster` as above. Throws Error for no pairs or for lists of different
/// lengths.
Interval accuracy_gain(std::span<const double> margins, std::span<const double> baseline, uint64_t seed,
                       std::span<const std::size_t> cluster = {});

/// Length-controlled accuracy: length-controlled AlpacaEval (Dubois et al. 2024, arXiv 2404.04475) with
/// people as the judge. For answers a and b,
///   logit P(people choose a) = theta s + phi tanh(d / sigma),
/// s = 1, -1 or 0 where the score ranks a above, below or level with b, d = tokens of a minus tokens of b,
/// sigma the root mean square of d. There is no intercept, as which answer is called a changes nothing. Then
///   accuracy = (1 - ties) sigmoid(theta) + ties / 2,
/// how often people agree with the score on answers of one length; equal to pairwise_accuracy where all
/// lengths are, and about 1/2 for a score that only reads lengths. theta and phi by maximum likelihood; the
/// 95 % interval from fits to resampled pairs. A resample without a maximum counts as 0 and as 1. NaN where
/// the pairs themselves have none: lengths and score together tell every pair. `length`: tokens of the chosen
/// answer minus those of the rejected one. `cluster` as above. Throws as accuracy_gain does.
Interval length_controlled_accuracy(std::span<const double> margins, std::span<const double> length,
                                    uint64_t seed, std::span<const std::size_t> cluster = {});

}  // namespace prefer
