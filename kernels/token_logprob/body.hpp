// What the twins of token_logprob share: the checks, and a row's work by a group of threads (CUDA, and its
// tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/token_logprob/token_logprob.hpp"

#include <cmath>

namespace prefer::kernels::token_logprob {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.vocab >= 1, "token_logprob wants rows >= 0 and vocab >= 1", "rows", a.rows,
          "vocab", a.vocab);
  require(a.stride >= a.vocab, "token_logprob wants a stride of at least vocab", "stride", a.stride, "vocab",
          a.vocab);
  require(a.inv_temperature > 0, "token_logprob wants inv_temperature > 0", "inv_temperature",
          a.inv_temperature);
  require(a.rows == 0 || (a.logits && a.label && a.logp && a.lse),
          "token_logprob wants logits, label, logp and lse", "logits", a.logits, "label", a.label, "logp",
          a.logp, "lse", a.lse);
}

template <class T>
void check(const Backward<T>& a) {
  require(a.rows >= 0 && a.vocab >= 1, "token_logprob's backward wants rows >= 0 and vocab >= 1", "rows",
          a.rows, "vocab", a.vocab);
  require(a.stride >= a.vocab && a.grad_stride >= a.vocab,
          "token_logprob's backward wants strides of at least vocab", "stride", a.stride, "grad_stride",
          a.grad_stride, "vocab", a.vocab);
  require(a.rows == 0 || (a.logits && a.label && a.lse && a.grad_logp && a.grad),
          "token_logprob's backward wants logits, label, lse, grad_logp and grad", "logits", a.logits,
          "label", a.label, "lse", a.lse, "grad_logp", a.grad_logp, "grad", a.grad);
  require(!a.grad_entropy || a.entropy, "token_logprob's backward wants the entropy with grad_entropy",
          "entropy", a.entropy);
  require(a.grad != a.logits || a.grad_stride == a.stride, "token_logprob in place wants equal strides",
          "stride", a.stride, "grad_stride", a.grad_stride);
}

/// exp, on the device in two instructions instead of seven: a bf16 row is read faster than exact ones could
/// be computed. Off by 2^-22 and by a rounding of x (numbers below 2^-126 are 0), which is within the table
/// for sums.
PREFER_HOST_DEVICE float quick_exp(float x) {
#ifdef __CUDA_ARCH__
  float result;
  asm("ex2.approx.ftz.f32 %0, %1;" : "=f"(result) : "f"(x * 1.4426950408889634f));
  return result;
#else
  return std::exp(x);
#endif
}
PREFER_HOST_DEVICE double quick_exp(double x) { return std::exp(x); }

/// Of a part of a row: the largest z and where it stands first, sum exp(z - max), sum exp(z - max) (z - max).
template <class W>
struct Online {
  W max = -INFINITY;
  W sum = 0;
  W weighted = 0;
  std::int64_t argmax = 0;

  PREFER_HOST_DEVICE static W shift(W max) { return max == -INFINITY ? W{0} : max; }

  /// Moves the sums from this max to a larger one.
  PREFER_HOST_DEVICE void raise(W to) {
    const W by = max == -INFINITY ? W{0} : max - shift(to);
    const W scale = max == -INFINITY ? W{1} : quick_exp(by);
    weighted = scale == 0 ? W{0} : scale * (weighted + sum * by);
    sum *= scale;
    max = to;
  }
  template <bool kWeighted>
  PREFER_HOST_DEVICE void add(W z) {
    const W off = z - shift(max);
    const W e = quick_exp(off);
    sum += e;
    if constexpr (kWeighted) weighted += e == 0 ? W{0} : e * off;
  }
  PREFER_HOST_DEVICE void see(W z, std::int64_t at) {
    if (z > max) {
      raise(z);
      argmax = at;
    }
  }
  PREFER_HOST_DEVICE friend Online merge(Online a, Online b) {
    const bool second = b.max > a.max || (b.max == a.max && b.argmax < a.argmax);
    if (b.max > a.max) a.raise(b.max);
    if (a.max > b.max) b.raise(a.max);
    return {a.max, a.sum + b.sum, a.weighted + b.weighted, second ? b.argmax : a.argmax};
  }
};

/// kWeighted: also the weighted sum, which the entropy wants.
template <bool kWeighted, class T, class Group>
PREFER_HOST_DEVICE Online<Wide<T>> online_row(const T* x, std::int64_t size, Wide<T> scale,
                                              const Group& group) {
  using W = Wide<T>;
  Online<W> mine;
  const auto one = [&](std::int64_t i) {
    const W z = scale * widen(x[i]);
    mine.see(z, i);
    mine.template add<kWeighted>(z);
  };
  const auto pack = [&](std::int64_t i) {
    constexpr int kSize = Pack<T>::kSize;
    const Pack<T> p = load_pack(x + i);
    W z[kSize], largest = -INFINITY;
    for (int j = 0; j < kSize; ++j) {
      z[j] = scale * widen(p.at[j]);
      largest = std::fmax(largest, z[j]);
    }
    if (largest > mine.max) {
      int at = 0;
      for (int j = kSize - 1; j >= 0; --j) at = z[j] == largest ? j : at;
      mine.see(largest, i + at);
    }
    for (int j = 0; j < kSize; ++j) mine.template add<kWeighted>(z[j]);
  };
  for_packs(x, true, size, group, one, pack);
  return group.reduce(mine, [](Online<W> a, Online<W> b) { return merge(a, b); });
}

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T* x = a.logits + row * a.stride;
  const Online<W> all = a.entropy ? online_row<true>(x, a.vocab, a.inv_temperature, group)
                                  : online_row<false>(x, a.vocab, a.inv_temperature, group);
  if (group.rank() != 0) return;
  const std::int64_t y = a.label[row];
  const W log_sum = all.sum > 0 ? std::log(all.sum) : static_cast<W>(NAN);
  a.lse[row] = all.max + log_sum;
  a.logp[row] =
      y < 0 || y >= a.vocab ? static_cast<W>(NAN) : a.inv_temperature * widen(x[y]) - all.max - log_sum;
  if (a.entropy) a.entropy[row] = log_sum - all.weighted / all.sum;
  if (a.argmax) a.argmax[row] = all.argmax;
}

/// What every element of a row's gradient needs.
template <class W>
struct RowGradient {
  W scale, lse, mean, g, h;  // inv_temperature, lse, E, upstream of logp and of entropy

  /// kEntropy: whether there is an h.
  template <bool kEntropy>
  PREFER_HOST_DEVICE W other(W x) const {
    const W z = scale * x;
    const W p = quick_exp(z - lse);
    if constexpr (!kEntropy) return -scale * g * p;
    return p == 0 ? W{0} : -scale * p * (g + h * (z - mean));
  }
  /// The label's: 1 - p cancels where the label is likely.
  PREFER_HOST_DEVICE W label(W x) const {
    const W z = scale * x;
    const W p = std::exp(z - lse);
    return -scale * (g * std::expm1(z - lse) + (p == 0 ? W{0} : h * p * (z - mean)));
  }
};

template <class T>
PREFER_HOST_DEVICE RowGradient<Wide<T>> row_gradient(const Backward<T>& a, std::int64_t row) {
  using W = Wide<T>;
  const bool entropy = a.grad_entropy != nullptr;
  return {a.inv_temperature, a.lse[row], entropy ? a.lse[row] - a.entropy[row] : W{0}, a.grad_logp[row],
          entropy ? a.grad_entropy[row] : W{0}};
}

template <bool kEntropy, class T, class Group>
PREFER_HOST_DEVICE void gradient_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  using W = Wide<T>;
  const T* x = a.logits + row * a.stride;
  T* dx = a.grad + row * a.grad_stride;
  const std::int64_t y = a.label[row];
  const RowGradient<W> gradient = row_gradient(a, row);
  const auto one = [&](std::int64_t i) {
    const W value = widen(x[i]);
    dx[i] = narrow<T>(i == y ? gradient.label(value) : gradient.template other<kEntropy>(value));
  };
  const auto pack = [&](std::int64_t i) {
    constexpr int kSize = Pack<T>::kSize;
    const Pack<T> in = load_pack(x + i);
    Pack<T> out;
    for (int j = 0; j < kSize; ++j) out.at[j] = narrow<T>(gradient.template other<kEntropy>(widen(in.at[j])));
    if (y >= i && y < i + kSize) {
      for (int j = 0; j < kSize; ++j)
        if (i + j == y) out.at[j] = narrow<T>(gradient.label(widen(in.at[j])));
    }
    store_pack(dx + i, out);
  };
  for_packs(x, alike<T>(x, dx), a.vocab, group, one, pack);
}

template <class T, class Group>
PREFER_HOST_DEVICE void backward_row(const Backward<T>& a, std::int64_t row, const Group& group) {
  a.grad_entropy ? gradient_row<true>(a, row, group) : gradient_row<false>(a, row, group);
}

}  // namespace prefer::kernels::token_logprob
