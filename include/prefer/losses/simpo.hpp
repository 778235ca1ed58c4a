// Simple preference optimization, without a reference.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/pairs.hpp"

namespace prefer {

/// SimPO, Meng et al. 2024, eq. 6 (arXiv 2405.14734):
///   loss = -log sigmoid(beta (log pi(y_w|x) / n_w - log pi(y_l|x) / n_l) - gamma),  gamma = beta *
///   gamma_beta_ratio.
struct SimPo {
  static constexpr const char* name = "simpo";
  static constexpr bool needs_reference = false;
  double beta = 2.0;
  double gamma_beta_ratio = 0.25;

  Tensor operator()(const Pairs& p) const {
    const Tensor h = p.chosen.mean() - p.rejected.mean() - gamma_beta_ratio;  // [N] nats a token
    return -at::log_sigmoid(beta * h);
  }
  void describe(Fields& f) {
    f("beta", beta, "scale of the reward, the mean log-prob of a token", positive());
    f("gamma_beta_ratio", gamma_beta_ratio, "wanted margin between chosen and rejected, in nats a token",
      non_negative());
  }
};

}  // namespace prefer
