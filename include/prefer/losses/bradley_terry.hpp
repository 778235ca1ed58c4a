// The loss of a reward model on pairs.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/scored_pairs.hpp"

namespace prefer {

/// Bradley and Terry 1952, as Ouyang et al. 2022, eq. 1 (arXiv 2203.02155), fit a reward model to pairs:
///   loss = -log sigmoid(s_w - s_l - m) + c (s_w + s_l)^2.
/// m is the record's margin with use_margin (Llama 2, Touvron et al. 2023, eq. 2, arXiv 2307.09288),
/// otherwise 0. c draws scores, which pairs leave free up to a constant, towards a mean of 0 (Eisenstein et
/// al. 2023, arXiv 2312.09244).
struct BradleyTerry {
  static constexpr const char* name = "bradley_terry";
  bool use_margin = false;
  double center_rewards_coefficient = 0;

  Tensor operator()(const ScoredPairs& p) const {
    const Tensor gap = p.chosen - p.rejected;  // [N]
    const Tensor loss = -at::log_sigmoid(use_margin ? gap - p.margin : gap);
    if (center_rewards_coefficient == 0) return loss;
    return loss + center_rewards_coefficient * (p.chosen + p.rejected).square();
  }
  void describe(Fields& f) {
    f("use_margin", use_margin, "want the chosen score above the rejected one by the record's \"margin\"");
    f("center_rewards_coefficient", center_rewards_coefficient,
      "pull of the scores of a pair towards a sum of 0", non_negative());
  }
};

}  // namespace prefer
