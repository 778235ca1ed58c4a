// Identity preference optimization.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/pairs.hpp"

namespace prefer {

/// IPO, Azar et al. 2023, eq. 17 (arXiv 2310.12036), in the length-averaged form its authors confirmed:
///   loss = (r_w / n_w - r_l / n_l - 1 / (2 beta))^2,  r = log pi(y|x) - log ref(y|x),  n = completion
///   tokens.
/// Rewards, margins and accuracies are of beta r / n, what the loss ranks by; TRL's are of beta r.
struct Ipo {
  static constexpr const char* name = "ipo";
  double beta = 0.1;

  Tensor operator()(const Pairs& p) const {
    const Tensor h = p.chosen.ratio() / p.chosen.length - p.rejected.ratio() / p.rejected.length;  // [N]
    return (h - 1 / (2 * beta)).square();
  }
  /// What the loss ranks by: beta times the log-ratio a token.
  Tensor reward(const Side& side) const { return beta * side.ratio() / side.length; }  // [N]
  void describe(Fields& f) { f("beta", beta, "the wanted gap is 1 / (2 beta) nats a token", positive()); }
};

}  // namespace prefer
