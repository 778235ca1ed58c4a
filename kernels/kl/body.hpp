// What the twins of kl share: the checks, and a row's work by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/kl/kl.hpp"

#include <cmath>

namespace prefer::kernels::kl {

template <class Args>
void check_rows(const Args& a) {
  require(a.rows >= 0 && a.vocab >= 1, "kl wants rows >= 0 and vocab >= 1", "rows", a.rows, "vocab", a.vocab);
  require(a.policy_stride >= a.vocab && a.reference_stride >= a.vocab, "kl wants strides of at least vocab",
          "policy_stride", a.policy_stride, "reference_stride", a.reference_stride, "vocab", a.vocab);
  require(a.inv_temperature > 0, "kl wants inv_temperature > 0", "inv_temperature", a.inv_temperature);
  require(a.rows == 0 || (a.policy && a.reference && a.kl && a.policy_lse && a.reference_lse),
          "kl wants policy, reference, kl, policy_lse and reference_lse", "policy", a.policy, "reference",
          a.reference, "kl", a.kl, "policy_lse", a.policy_lse, "reference_lse", a.reference_lse);
}

template <class T>
void check(const Forward<T>& a) {
  check_rows(a);
  require(a.rows == 0 || !a.label || (a.policy_logp && a.reference_logp),
          "kl wants policy_logp and reference_logp with label", "policy_logp", a.policy_logp,
          "reference_logp", a.reference_logp);
}

template <class T>
void check(const Backward<T>& a) {
  check_rows(a);
  require(a.rows == 0 || (a.grad_kl && a.grad), "kl's backward wants grad_kl and grad", "grad_kl", a.grad_kl,
          "grad", a.grad);
  require(a.rows == 0 || !a.grad_policy_logp || a.label, "kl's backward wants label with grad_policy_logp",
          "label", a.label);
  require(a.grad_stride >= a.vocab, "kl's backward wants a grad_stride of at least vocab", "grad_stride",
          a.grad_stride, "vocab", a.vocab);
  require(a.grad != a.policy || a.grad_stride == a.policy_stride, "kl in place wants equal strides",
          "grad_stride", a.grad_stride, "policy_stride", a.policy_stride);
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

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
  Online<W> mine;
  for (std::int64_t i = group.rank(); i < a.vocab; i += group.size())
    mine.add(a.inv_temperature * widen(x[i]), a.inv_temperature * widen(y[i]));
  const Online<W> all = group.reduce(mine, [](Online<W> one, Online<W> two) { return merge(one, two); });
  if (group.rank() != 0) return;
  const W policy_log = std::log(all.policy_sum), reference_log = std::log(all.reference_sum);
  a.kl[row] = all.weighted / all.policy_sum - policy_log + reference_log;
  a.policy_lse[row] = all.policy_max + policy_log;
  a.reference_lse[row] = all.reference_max + reference_log;
  if (!a.label) return;
  const std::int64_t at = a.label[row];
  const bool known = at >= 0 && at < a.vocab;
  const auto logp = [&](const T* z, W max, W log_sum) {
    return known ? a.inv_temperature * widen(z[at]) - max - log_sum : static_cast<W>(NAN);
  };
  a.policy_logp[row] = logp(x, all.policy_max, policy_log);
  a.reference_logp[row] = logp(y, all.reference_max, reference_log);
}

template <class T, class Group>
PREFER_HOST_DEVICE void backward_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T *x = a.policy + row * a.policy_stride, *y = a.reference + row * a.reference_stride;
  T* dx = a.grad + row * a.grad_stride;
  const W scale = a.inv_temperature, upstream = scale * a.grad_kl[row];
  const W of_label = a.grad_policy_logp ? scale * a.grad_policy_logp[row] : W{0};
  const std::int64_t label = a.grad_policy_logp ? a.label[row] : -1;
  for (std::int64_t i = group.rank(); i < a.vocab; i += group.size()) {
    const W logp = scale * widen(x[i]) - a.policy_lse[row], logq = scale * widen(y[i]) - a.reference_lse[row];
    const W p = std::exp(logp);
    const W slope = p == 0 ? W{0} : upstream * p * (logp - logq - a.kl[row]);
    dx[i] = narrow<T>(slope + of_label * ((i == label ? W{1} : W{0}) - p));
  }
}

}  // namespace prefer::kernels::kl
