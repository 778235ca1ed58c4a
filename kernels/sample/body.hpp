// What the twins of sample share: the checks, and a row's draw by a group of threads (CUDA, and its tests).
#pragma once

#include "kernels/check.hpp"
#include "kernels/group.hpp"
#include "kernels/sample/sample.hpp"
#include "kernels/token_logprob/body.hpp"

#include <cmath>

namespace prefer::kernels::sample {

template <class T>
void check(const Forward<T>& a) {
  require(a.rows >= 0 && a.vocab >= 1, "sample wants rows >= 0 and vocab >= 1", "rows", a.rows, "vocab",
          a.vocab);
  require(a.stride >= a.vocab, "sample wants a stride of at least vocab", "stride", a.stride, "vocab",
          a.vocab);
  require(a.temperature == 0 || a.temperature >= kSmallestTemperature,
          "sample wants temperature 0 or >= 1e-6", "temperature", a.temperature);
  require(a.top_k >= 0, "sample wants top_k >= 0", "top_k", a.top_k);
  require(a.top_p > 0 && a.top_p <= 1, "sample wants top_p in (0, 1]", "top_p", a.top_p);
  require(a.inv_temperature > 0 && (a.temperature != 0 || a.inv_temperature == 1),
          "sample wants inv_temperature > 0, and 1 at temperature 0", "inv_temperature", a.inv_temperature,
          "temperature", a.temperature);
  require(a.rows == 0 || (a.logits && a.token && a.logp), "sample wants logits, token and logp", "logits",
          a.logits, "token", a.token, "logp", a.logp);
  require(a.rows == 0 || a.temperature == 0 || a.uniform,
          "sample wants uniform numbers unless temperature is 0", "temperature", a.temperature);
}

/// A place in the ranking of a row's tokens: larger logits first, equal ones by index.
struct Ranked {
  float logit = -INFINITY;
  std::int64_t index = 0;
};

/// Of a set of tokens.
struct Share {
  double mass;
  std::int64_t count;
  PREFER_HOST_DEVICE friend Share operator+(Share a, Share b) { return {a.mass + b.mass, a.count + b.count}; }
};

/// A row that a group of threads measures again and again, instead of sorting it. Every measure adds the
/// weights in the same order, so a larger set never measures less.
template <class T, class Group>
class Row {
 public:
  PREFER_HOST_DEVICE Row(const T* x, std::int64_t size, float max, float scale, const Group& group)
      : x_(x), size_(size), max_(max), scale_(scale), group_(group) {}

  PREFER_HOST_DEVICE void keep_top(std::int64_t k) {
    if (k == 0 || k >= size_) return;
    cut([=](Share s) { return s.count >= k; });
  }
  PREFER_HOST_DEVICE void keep_mass(double top_p) {
    if (top_p >= 1) return;
    const double target = top_p * share(0, size_, [](std::uint32_t, std::int64_t) { return true; }).mass;
    cut([=](Share s) { return s.mass >= target; });
  }

  /// The first kept token at which the kept tokens' cumulative weight passes u of the whole.
  PREFER_HOST_DEVICE std::int64_t draw(double u) const {
    const auto all = [](std::uint32_t, std::int64_t) { return true; };
    const double target = u * share(0, size_, all).mass;
    std::int64_t low = 0, high = size_;
    double below = 0;
    while (high - low > 1) {
      const std::int64_t middle = low + (high - low) / 2;
      const double mass = share(low, middle, all).mass;
      if (below + mass > target) {
        high = middle;
      } else {
        below += mass;
        low = middle;
      }
    }
    return kept(low) && weight(low) > 0 ? low : last_kept(low);
  }

 private:
  /// Larger for larger numbers; -0 equals 0.
  PREFER_HOST_DEVICE std::uint32_t key(std::int64_t i) const {
    const float x = widen(x_[i]) + 0.0f;
    std::uint32_t bits;
    memcpy(&bits, &x, sizeof bits);
    return (bits & 0x80000000u) ? ~bits : bits | 0x80000000u;
  }
  PREFER_HOST_DEVICE double weight(std::int64_t i) const { return std::exp((widen(x_[i]) - max_) * scale_); }
  PREFER_HOST_DEVICE bool kept(std::int64_t i) const {
    return key(i) > last_key_ || (key(i) == last_key_ && i <= last_index_);
  }

  /// Of the kept tokens of [begin, end) that `in` takes by key and index.
  template <class In>
  PREFER_HOST_DEVICE Share share(std::int64_t begin, std::int64_t end, In in) const {
    Share mine{0, 0};
    for (std::int64_t i = begin + group_.rank(); i < end; i += group_.size()) {
      if (kept(i) && in(key(i), i)) mine = mine + Share{weight(i), 1};
    }
    return group_.reduce(mine, Plus{});
  }

  /// Keeps the shortest prefix of the ranking whose share `reached` takes; all kept tokens together reach it.
  template <class Reached>
  PREFER_HOST_DEVICE void cut(Reached reached) {
    std::uint32_t last = 0;
    for (int bit = 31; bit >= 0; --bit) {
      const std::uint32_t trial = last | (1u << bit);
      if (reached(share(0, size_, [=](std::uint32_t k, std::int64_t) { return k >= trial; }))) last = trial;
    }
    std::int64_t low = 0, high = size_ - 1;  // the first index up to which the tokens equal to the last do
    while (low < high) {
      const std::int64_t middle = low + (high - low) / 2;
      const auto in = [=](std::uint32_t k, std::int64_t i) { return k > last || (k == last && i <= middle); };
      if (reached(share(0, size_, in))) {
        high = middle;
      } else {
        low = middle + 1;
      }
    }
    last_key_ = last;
    last_index_ = low;
  }

  PREFER_HOST_DEVICE std::int64_t last_kept(std::int64_t before) const {
    std::int64_t mine = -1;
    for (std::int64_t i = group_.rank(); i < before; i += group_.size()) {
      if (kept(i) && weight(i) > 0) mine = i;
    }
    return group_.reduce(mine, [](std::int64_t a, std::int64_t b) { return a > b ? a : b; });
  }

  const T* x_;
  std::int64_t size_;
  float max_, scale_;
  const Group& group_;
  std::uint32_t last_key_ = 0;
  std::int64_t last_index_ = INT64_MAX;
};

template <class T, class Group>
PREFER_HOST_DEVICE void forward_row(const Forward<T>& a, std::int64_t row, const Group& group) {
  const T* x = a.logits + row * a.stride;
  const token_logprob::Online<float> all =
      a.entropy ? token_logprob::online_row<true>(x, a.vocab, a.inv_temperature, group)
                : token_logprob::online_row<false>(x, a.vocab, a.inv_temperature, group);
  std::int64_t token = -1;
  if (all.sum > 0) {  // false for NaN
    token = all.argmax;
    if (a.temperature != 0) {
      Row<T, Group> ranked(x, a.vocab, widen(x[all.argmax]), static_cast<float>(1 / a.temperature), group);
      ranked.keep_top(a.top_k);
      ranked.keep_mass(a.top_p);
      token = ranked.draw(a.uniform[row]);
    }
  }
  if (group.rank() != 0) return;
  const float log_sum = token < 0 ? static_cast<float>(NAN) : std::log(all.sum);
  a.token[row] = token;
  a.logp[row] = token < 0 ? log_sum : a.inv_temperature * widen(x[token]) - all.max - log_sum;
  if (a.entropy) a.entropy[row] = log_sum - all.weighted / all.sum;
}

}  // namespace prefer::kernels::sample
