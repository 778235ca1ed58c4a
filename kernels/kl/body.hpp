// What the twins of kl share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/kl/estimators.hpp"
#include "kernels/kl/kl.hpp"

#include <cmath>

namespace prefer::kernels::kl {

template <class T>
void check(const Divergence<T>& a) {
  const bool any = a.rows > 0, estimated = a.k1 || a.k2 || a.k3 || a.grad_k1 || a.grad_k2 || a.grad_k3;
  const bool upstream = a.grad_kl || a.grad_k1 || a.grad_k2 || a.grad_k3;
  require(a.rows >= 0 && a.vocab >= 1, "kl wants rows >= 0 and vocab >= 1", "rows", a.rows, "vocab", a.vocab);
  require(a.policy_stride >= a.vocab && a.reference_stride >= a.vocab, "kl wants strides of at least vocab",
          "policy_stride", a.policy_stride, "reference_stride", a.reference_stride, "vocab", a.vocab);
  require(a.inv_temperature > 0, "kl wants inv_temperature > 0", "inv_temperature", a.inv_temperature);
  require(!any || (a.policy && a.reference), "kl wants policy and reference", "policy", a.policy, "reference",
          a.reference);
  require(!any || !estimated || a.label, "kl wants label with k1, k2, k3 or their upstreams", "label",
          a.label);
  require(!any || upstream == (a.grad != nullptr), "kl wants grad and an upstream, or neither", "grad",
          a.grad);
  require(!a.grad || a.grad_stride >= a.vocab, "kl wants a grad_stride of at least vocab", "grad_stride",
          a.grad_stride, "vocab", a.vocab);
  require(!a.grad || a.grad != a.policy || a.grad_stride == a.policy_stride,
          "kl in place wants equal strides", "grad_stride", a.grad_stride, "policy_stride", a.policy_stride);
}

/// What is wanted of a row, computed in W.
template <class T, class W>
PREFER_HOST_DEVICE void write_values(const Divergence<T>& a, std::int64_t row, W kl, W log_ratio) {
  const Estimators<W> estimate{log_ratio};
  if (a.kl) a.kl[row] = static_cast<Wide<T>>(kl);
  if (a.k1) a.k1[row] = static_cast<Wide<T>>(estimate.k1());
  if (a.k2) a.k2[row] = static_cast<Wide<T>>(estimate.k2());
  if (a.k3) a.k3[row] = static_cast<Wide<T>>(estimate.k3());
}

/// The upstream of log p of the label, which the estimates' upstreams make.
template <class T, class W>
PREFER_HOST_DEVICE W label_upstream(const Divergence<T>& a, std::int64_t row, W log_ratio) {
  const Estimators<W> estimate{log_ratio};
  W sum = 0;
  if (a.grad_k1) sum += a.grad_k1[row] * estimate.k1_slope();
  if (a.grad_k2) sum += a.grad_k2[row] * estimate.k2_slope();
  if (a.grad_k3) sum += a.grad_k3[row] * estimate.k3_slope();
  return sum;
}

/// Of a part of two rows, with z and w the scaled logits and e = exp(z - max z): the largest of each, sum e,
/// sum exp(w - max w), and sum e ((z - max z) - (w - max w)).
template <class W>
struct Online {
  W policy_max = -INFINITY, reference_max = -INFINITY;
  W policy_sum = 0, reference_sum = 0, weighted = 0;

  /// Moves the sums to larger maxima.
  PREFER_HOST_DEVICE void raise(W policy_to, W reference_to) {
    const W by_policy = policy_max == -INFINITY ? W{0} : policy_max - policy_to;
    const W by_reference = reference_max == -INFINITY ? W{0} : reference_max - reference_to;
    const W scale = std::exp(by_policy);
    weighted = scale == 0 ? W{0} : scale * (weighted + policy_sum * (by_policy - by_reference));
    policy_sum *= scale;
    reference_sum *= std::exp(by_reference);
    policy_max = policy_to, reference_max = reference_to;
  }
  PREFER_HOST_DEVICE void add(W z, W w) {
    if (z > policy_max || w > reference_max) raise(std::fmax(z, policy_max), std::fmax(w, reference_max));
    const W off = policy_max == -INFINITY ? z : z - policy_max;
    const W other = reference_max == -INFINITY ? w : w - reference_max;
    const W e = std::exp(off);
    policy_sum += e;
    reference_sum += std::exp(other);
    weighted += e == 0 ? W{0} : e * (off - other);
  }
  PREFER_HOST_DEVICE friend Online merge(Online a, Online b) {
    const W policy = std::fmax(a.policy_max, b.policy_max),
            reference = std::fmax(a.reference_max, b.reference_max);
    a.raise(policy, reference), b.raise(policy, reference);
    return {policy, reference, a.policy_sum + b.policy_sum, a.reference_sum + b.reference_sum,
            a.weighted + b.weighted};
  }
};

/// What every element of a row's gradient needs; the upstreams come times scale.
template <class W>
struct RowGradient {
  W scale, policy_lse, reference_lse, kl, of_kl, of_label;

  PREFER_HOST_DEVICE W other(W x, W y) const {
    const W logp = scale * x - policy_lse, logq = scale * y - reference_lse, p = std::exp(logp);
    return p == 0 ? W{0} : p * (of_kl * (logp - logq - kl) - of_label);
  }
  /// The label's: 1 - p cancels where the label is likely.
  PREFER_HOST_DEVICE W label(W x, W y) const {
    const W logp = scale * x - policy_lse, logq = scale * y - reference_lse, p = std::exp(logp);
    return (p == 0 ? W{0} : p * of_kl * (logp - logq - kl)) - of_label * std::expm1(logp);
  }
};

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Divergence<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
  const W scale = a.inv_temperature;
  const std::int64_t label = a.label ? a.label[row] : -1;
  const bool known = label >= 0 && label < a.vocab;
  // Read before the group meets: behind that the gradient may be written over the policy.
  const W z = known ? scale * widen(x[label]) : static_cast<W>(NAN), w = known ? scale * widen(y[label]) : z;
  Online<W> mine;
  for (std::int64_t i = group.rank(); i < a.vocab; i += group.size())
    mine.add(scale * widen(x[i]), scale * widen(y[i]));
  const Online<W> all = group.reduce(mine, [](Online<W> one, Online<W> two) { return merge(one, two); });
  const W policy_log = std::log(all.policy_sum), reference_log = std::log(all.reference_sum);
  const W kl = all.weighted / all.policy_sum - policy_log + reference_log;
  const W log_ratio = (z - all.policy_max - policy_log) - (w - all.reference_max - reference_log);
  if (group.rank() == 0) write_values(a, row, kl, log_ratio);
  if (!a.grad) return;

  T* dx = a.grad + row * a.grad_stride;
  const RowGradient<W> gradient{
      scale,
      all.policy_max + policy_log,
      all.reference_max + reference_log,
      kl,
      a.grad_kl ? scale * a.grad_kl[row] : W{0},
      a.label && !known ? static_cast<W>(NAN) : scale * label_upstream(a, row, log_ratio)};
  for (std::int64_t i = group.rank(); i < a.vocab; i += group.size()) {
    const W ours = widen(x[i]), theirs = widen(y[i]);
    dx[i] = narrow<T>(i == label ? gradient.label(ours, theirs) : gradient.other(ours, theirs));
  }
}

}  // namespace prefer::kernels::kl
