// The losses of proximal policy optimization, a number a token: clipped policy, clipped values, entropy.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

/// Schulman et al. 2017, eq. 7 (arXiv 1707.06347), with the sign of a loss:
///   loss = -min(r A, clip(r, 1 - cliprange, 1 + cliprange) A),  r = pi(y_t|x, y_<t) / pi_old(y_t|x, y_<t).
struct ClippedPolicyLoss {
  double cliprange = 0.2;

  /// log r and A, [M] each -> [M].
  Tensor operator()(const Tensor& log_ratio, const Tensor& advantage) const {
    const Tensor ratio = log_ratio.exp();  // [M]
    return -at::minimum(ratio * advantage, clipped(ratio) * advantage);
  }
  /// Which tokens' gradient the clip takes away. [M] of 0 and 1
  Tensor is_clipped(const Tensor& log_ratio, const Tensor& advantage) const {
    const Tensor ratio = log_ratio.exp();  // [M]
    return (clipped(ratio) * advantage < ratio * advantage).to(at::kDouble);
  }
  void describe(Fields& f) {
    f("cliprange", cliprange, "how far the ratio to the sampling policy may move a token's loss", positive());
  }

 private:
  Tensor clipped(const Tensor& ratio) const { return at::clamp(ratio, 1 - cliprange, 1 + cliprange); }
};

/// The clipped value loss of PPO's code (Schulman et al. 2017; Huang et al. 2024, arXiv 2403.17031):
///   loss = 1/2 max((V - R)^2, (clip(V, V_old - cliprange_value, V_old + cliprange_value) - R)^2).
struct ClippedValueLoss {
  double cliprange_value = 0.2;

  /// V, V_old and returns R, [M] each -> [M].
  Tensor operator()(const Tensor& value, const Tensor& old_value, const Tensor& returns) const {
    const Tensor off = value - returns, clipped_off = clipped(value, old_value) - returns;  // [M]
    return 0.5 * at::maximum(off * off, clipped_off * clipped_off);
  }
  /// Which tokens' gradient the clip takes away. [M] of 0 and 1
  Tensor is_clipped(const Tensor& value, const Tensor& old_value, const Tensor& returns) const {
    const Tensor off = value - returns, clipped_off = clipped(value, old_value) - returns;  // [M]
    return (clipped_off * clipped_off > off * off).to(at::kDouble);
  }
  void describe(Fields& f) {
    f("cliprange_value", cliprange_value, "how far a value may move from the one at sampling", positive());
  }

 private:
  Tensor clipped(const Tensor& value, const Tensor& old_value) const {
    return old_value + at::clamp(value - old_value, -cliprange_value, cliprange_value);
  }
};

/// What PPO minimises, Schulman et al. 2017, eq. 9: policy + vf_coef value - entropy_coef entropy, each per
/// token.
struct PpoLoss {
  ClippedPolicyLoss policy;
  ClippedValueLoss value;
  double vf_coef = 0.1;
  double entropy_coef = 0;

  void describe(Fields& f) {
    policy.describe(f);
    value.describe(f);
    f("vf_coef", vf_coef, "weight of the value loss", non_negative());
    f("entropy_coef", entropy_coef, "weight of the entropy that is kept up; 0: none", non_negative());
  }
};

}  // namespace prefer
