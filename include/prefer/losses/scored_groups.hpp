// What a loss of a reward model may read of groups of ranked answers: their scores and their ranks.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// What a reward model says of N groups, each of up to K answers to one prompt.
struct ScoredGroups {
  Tensor score;  // [N, K] double, with gradient; 0 where a group has no such answer
  Tensor rank;   // [N, K] 1 is the best, equal ones are tied; NaN where a group has no such answer
  Tensor share;  // [N] weight of the record, double on the CPU

  /// By how much answer k scores above answer j. [N, K (k), K (j)]
  Tensor gap() const { return score.unsqueeze(2) - score.unsqueeze(1); }
  /// Whether answer j is ranked below answer k. [N, K (k), K (j)]
  Tensor below() const { return rank.unsqueeze(2) < rank.unsqueeze(1); }
};

}  // namespace prefer
