// The loss of a reward model on rankings of several answers.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/scored_groups.hpp"

#include <limits>

namespace prefer {

/// Plackett 1975 and Luce 1959, as Zhu, Jordan and Jiao 2023 (arXiv 2301.11270) fit a reward model to
/// rankings of K answers, s_1 the score of the best and s_K that of the worst:
///   loss = 1 / (K - 1) sum_{k < K} [log sum_{j >= k} exp(s_j) - s_k],
/// divided by K - 1 so that K does not change the size of a step. Of two answers it is bradley_terry's. What
/// is tied is not compared: k's inner sum leaves out the others of its rank, an answer with none ranked below
/// it has no term, and the divisor is the number of terms.
struct PlackettLuce {
  static constexpr const char* name = "plackett_luce";

  Tensor operator()(const ScoredGroups& g) const {
    const Tensor below = g.below();                                         // [N, K, K]
    const Tensor rivals = below | at::eye(below.size(1), below.options());  // [N, K, K]
    const double out = -std::numeric_limits<double>::infinity();
    const Tensor terms = at::where(rivals, -g.gap(), out).logsumexp(2);  // [N, K] 0 where none is below
    return terms.sum(1) / below.any(2).sum(1);                           // [N]
  }
  void describe(Fields&) {}
};

}  // namespace prefer
