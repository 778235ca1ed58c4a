// Direct preference optimization and its conservative form.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/pairs.hpp"

namespace prefer {

/// DPO, Rafailov et al. 2023, eq. 7 (arXiv 2305.18290):
///   loss = -log sigmoid(beta h),  h = (log pi(y_w|x) - log ref(y_w|x)) - (log pi(y_l|x) - log ref(y_l|x)).
/// With label_smoothing e > 0, conservative DPO (Mitchell 2023): -(1 - e) log sigmoid(beta h) - e log
/// sigmoid(-beta h); TRL's "sigmoid" reads no label_smoothing.
struct Dpo {
  static constexpr const char* name = "dpo";
  double beta = 0.1;
  double label_smoothing = 0.0;

  Tensor operator()(const Pairs& p) const {
    const Tensor h = beta * (p.chosen.ratio() - p.rejected.ratio());  // [N]
    return -(1 - label_smoothing) * at::log_sigmoid(h) - label_smoothing * at::log_sigmoid(-h);
  }
  void describe(Fields& f) {
    f("beta", beta, "pull towards the reference; larger stays closer", positive());
    f("label_smoothing", label_smoothing, "share of labels believed to be wrong", within(0, 0.5));
  }
};

}  // namespace prefer
