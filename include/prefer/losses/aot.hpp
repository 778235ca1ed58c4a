// Distributional preference alignment by optimal transport.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/losses/pairs.hpp"

namespace prefer {

/// AOT for paired data, Melnyk et al. 2024, alg. 1 (arXiv 2406.05882): the margins of the policy shall
/// dominate those of the reference, quantile by quantile over the pairs of the whole step:
///   u = sort(log pi(y_w|x) - log pi(y_l|x)),  v = sort(log ref(y_w|x) - log ref(y_l|x)),
///   loss_i = -(1 - e) log sigmoid(beta (u_i - v_i)) - e log sigmoid(-beta (u_i - v_i)),  e =
///   label_smoothing.
struct Aot {
  static constexpr const char* name = "aot";
  static constexpr bool coupled = true;
  double beta = 0.1;
  double label_smoothing = 0.0;

  Tensor operator()(const Pairs& p) const {
    const Tensor margin = p.chosen.logp - p.rejected.logp;  // [N]
    const Tensor reference = std::get<0>(at::sort(p.chosen.reference - p.rejected.reference));
    const Tensor order = std::get<1>(at::sort(margin.detach()));
    const Tensor v =
        at::empty_like(reference).index_copy_(0, order, reference);  // of the pair with this quantile
    const Tensor h = beta * (margin - v);                            // [N]
    return -(1 - label_smoothing) * at::log_sigmoid(h) - label_smoothing * at::log_sigmoid(-h);
  }
  void describe(Fields& f) {
    f("beta", beta, "pull towards the reference; larger stays closer", positive());
    f("label_smoothing", label_smoothing, "share of labels believed to be wrong", within(0, 0.5));
  }
};

}  // namespace prefer
