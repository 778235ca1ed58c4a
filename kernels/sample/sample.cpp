// Reference and CPU twins of sample.
#include "kernels/sample/sample.hpp"

#include "kernels/sample/body.hpp"
#include "kernels/vector.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
#include <optional>
#include <vector>

namespace prefer::kernels::sample {

#define PREFER_KERNEL_BODY "kernels/sample/sample.inl"
#include "kernels/each_isa.inl"

namespace reference {
namespace {

/// The tokens of a row that may be drawn, each with its weight, by sorting; 0 for the others.
std::vector<double> kept_weights(const std::vector<double>& x, double temperature, std::int64_t top_k,
                                 double top_p) {
  const double max = *std::max_element(x.begin(), x.end());
  std::vector<std::size_t> order(x.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](std::size_t a, std::size_t b) { return x[a] > x[b]; });
  if (top_k > 0 && top_k < static_cast<std::int64_t>(order.size()))
    order.resize(static_cast<std::size_t>(top_k));
  const auto weight = [&](std::size_t i) { return std::exp((x[i] - max) / temperature); };
  double total = 0;
  for (const std::size_t i : order) total += weight(i);
  std::vector<double> kept(x.size(), 0.0);
  double mass = 0;
  for (const std::size_t i : order) {
    kept[i] = weight(i);
    mass += kept[i];
    if (top_p < 1 && mass >= top_p * total) break;
  }
  return kept;
}

std::int64_t draw(const std::vector<double>& weight, double u) {
  const double target = u * std::accumulate(weight.begin(), weight.end(), 0.0);
  double below = 0;
  std::int64_t last = -1;
  for (std::size_t i = 0; i < weight.size(); ++i) {
    if (weight[i] == 0) continue;
    last = static_cast<std::int64_t>(i);
    below += weight[i];
    if (below > target) break;
  }
  return last;
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    std::vector<double> x(static_cast<std::size_t>(a.vocab));
    for (std::int64_t j = 0; j < a.vocab; ++j)
      x[static_cast<std::size_t>(j)] = widen(a.logits[row * a.stride + j]);
    const auto best = std::max_element(x.begin(), x.end());
    const auto z = [&](double v) { return static_cast<double>(a.inv_temperature) * v; };
    double sum = 0, weighted = 0;
    for (const double v : x) {
      const double p = std::exp(z(v) - z(*best));
      sum += p;
      if (p != 0) weighted += p * (z(v) - z(*best));
    }
    a.token[row] = -1;
    a.logp[row] = std::numeric_limits<Wide<T>>::quiet_NaN();
    if (a.entropy) a.entropy[row] = a.logp[row];
    if (!(sum > 0)) continue;
    a.token[row] = a.temperature == 0
                       ? best - x.begin()
                       : draw(kept_weights(x, a.temperature, a.top_k, a.top_p), a.uniform[row]);
    const double chosen = x[static_cast<std::size_t>(a.token[row])];
    a.logp[row] = static_cast<Wide<T>>(z(chosen) - z(*best) - std::log(sum));
    if (a.entropy) a.entropy[row] = static_cast<Wide<T>>(std::log(sum) - weighted / sum);
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void forward(const Forward<double>&);

}  // namespace reference

namespace cpu {
namespace {

/// A row under work, and memory that is used again for the next row.
template <class T>
struct Work {
  const T* x = nullptr;  // [vocab]
  float max = 0;         // of x
  std::vector<float> weight;
  std::vector<std::int32_t> near;  // the first `near_count` hold tokens whose logits lie near the largest
  std::size_t near_count = 0;

  void gather(float within) {
    near_count = 0;
    for (std::size_t i = 0; i < near.size(); ++i) {
      near[near_count] = static_cast<std::int32_t>(i);
      near_count += widen(x[i]) >= max - within;  // no branch: there is no telling
    }
  }
};

/// The near tokens in bins by how far they lie below the largest, so that only one bin has to be sorted.
template <class T>
class Bins {
 public:
  explicit Bins(const Work<T>& work) : work_(work) {
    for (std::size_t n = 0; n < work_.near_count; ++n) {
      Share& bin = bins_[bin_of(work_.near[n])];
      bin = bin + share_of(work_.near[n]);
    }
  }

  struct Prefix {
    Ranked last;
    Share share;
    bool reached;
  };

  /// The shortest prefix of the ranking whose share `reached` takes.
  template <class Reached>
  Prefix shortest(Reached reached) const {
    Prefix prefix{{}, {0, 0}, false};
    for (std::size_t bin = 0; bin < bins_.size() && !prefix.reached; ++bin) {
      if (!reached(prefix.share + bins_[bin])) {
        prefix.share = prefix.share + bins_[bin];
        continue;
      }
      prefix.reached = true;
      for (const Ranked& token : sorted(bin)) {
        prefix.last = token;
        prefix.share = prefix.share + share_of(token.index);
        if (reached(prefix.share)) break;
      }
    }
    return prefix;
  }

 private:
  static constexpr float kBinsPerNat = 64;

  std::size_t bin_of(std::int64_t token) const {
    const float below = (work_.max - widen(work_.x[token])) * kBinsPerNat;
    return static_cast<std::size_t>(std::min(below, static_cast<float>(bins_.size() - 1)));
  }
  Share share_of(std::int64_t token) const { return {work_.weight[static_cast<std::size_t>(token)], 1}; }

  std::vector<Ranked> sorted(std::size_t bin) const {
    std::vector<Ranked> members;
    for (std::size_t n = 0; n < work_.near_count; ++n) {
      const std::int64_t token = work_.near[n];
      if (bin_of(token) == bin) members.push_back({widen(work_.x[token]), token});
    }
    std::sort(members.begin(), members.end(), [](const Ranked& a, const Ranked& b) {
      return a.logit > b.logit || (a.logit == b.logit && a.index < b.index);
    });
    return members;
  }

  const Work<T>& work_;
  std::vector<Share> bins_ = std::vector<Share>(2048, Share{0, 0});
};

/// The last token that the filters keep, if the tokens in the bins tell. `total` is the weight of all tokens.
template <class T>
std::optional<Ranked> last_kept(const Bins<T>& bins, std::int64_t top_k, double top_p, double total) {
  if (top_k > 0) {
    const auto prefix = bins.shortest([=](const Share& s) { return s.count >= top_k; });
    if (!prefix.reached) return std::nullopt;
    if (top_p >= 1) return prefix.last;
    total = prefix.share.mass;
  }
  const auto prefix = bins.shortest([=](const Share& s) { return s.mass >= top_p * total; });
  return prefix.reached ? std::optional(prefix.last) : std::nullopt;
}

template <class T>
Ranked last_kept(const Forward<T>& a, Work<T>& work, double total) {
  const std::int64_t top_k = a.top_k < a.vocab ? a.top_k : 0;
  for (const float within :
       {8.0f, static_cast<float>(INFINITY)}) {  // the near ones are few, and mostly enough
    work.gather(within);
    if (const auto last = last_kept(Bins<T>(work), top_k, a.top_p, total)) return *last;
  }
  return {-INFINITY, a.vocab};  // all: their sum in another order stays below the target
}

constexpr std::size_t kStretch = 512;

/// Of at most kStretch weights from `begin`, in four sums that do not wait for one another.
double stretch_sum(const std::vector<float>& weight, std::size_t begin) {
  const std::size_t end = std::min(weight.size(), begin + kStretch);
  const float* w = weight.data();
  double a = 0, b = 0, c = 0, d = 0;
  std::size_t i = begin;
  for (; i + 4 <= end; i += 4) a += w[i], b += w[i + 1], c += w[i + 2], d += w[i + 3];
  for (; i < end; ++i) a += w[i];
  return (a + b) + (c + d);
}

/// The sums of the stretches, in order.
std::vector<double> stretch_sums(const std::vector<float>& weight) {
  std::vector<double> sums;
  for (std::size_t begin = 0; begin < weight.size(); begin += kStretch)
    sums.push_back(stretch_sum(weight, begin));
  return sums;
}

std::int64_t draw(const std::vector<float>& weight, double u) {
  const std::vector<double> sums = stretch_sums(weight);
  const double target = u * std::accumulate(sums.begin(), sums.end(), 0.0);
  double below = 0;
  std::size_t stretch = 0;
  while (stretch + 1 < sums.size() && below + sums[stretch] <= target) below += sums[stretch++];
  std::size_t i = stretch * kStretch;
  const std::size_t end = std::min(weight.size(), i + kStretch);
  while (i + 1 < end && below + weight[i] <= target) below += weight[i++];
  while (weight[i] == 0) --i;  // rounding may lead past the last kept token
  return static_cast<std::int64_t>(i);
}

/// The vector code of one instruction set.
template <class T>
struct Vectors {
  explicit Vectors(Isa isa)
      : largest(choose(isa, portable::largest<T>, avx2::largest<T>, avx512::largest<T>)),
        weigh(choose(isa, portable::weigh<T>, avx2::weigh<T>, avx512::weigh<T>)),
        keep(choose(isa, portable::keep<T>, avx2::keep<T>, avx512::keep<T>)) {}
  decltype(&portable::largest<T>) largest;
  decltype(&portable::weigh<T>) weigh;
  decltype(&portable::keep<T>) keep;
};

template <class T>
std::int64_t draw_row(const Forward<T>& a, std::int64_t row, const Vectors<T>& vectors, Work<T>& work) {
  work.x = a.logits + row * a.stride;
  work.max = vectors.largest(work.x, a.vocab);
  vectors.weigh(work.x, a.vocab, work.max, static_cast<float>(1 / a.temperature), work.weight.data());
  const std::vector<double> sums = stretch_sums(work.weight);
  const double total = std::accumulate(sums.begin(), sums.end(), 0.0);
  if (!(total > 0)) return -1;  // NaN too
  if (a.top_k > 0 || a.top_p < 1)
    vectors.keep(work.x, a.vocab, last_kept(a, work, total), work.weight.data());
  return draw(work.weight, a.uniform[row]);
}

/// token_logprob's own, so that a token's bits are those that scoring it gives. Returns the likeliest token,
/// or -1 for a row without a distribution.
template <class T>
std::int64_t score_row(const Forward<T>& a, std::int64_t row) {
  const std::int64_t label = std::max<std::int64_t>(a.token[row], 0);
  std::int64_t likeliest = 0;
  float lse = 0;
  token_logprob::Forward<T> scored{
      .logits = a.logits + row * a.stride, .label = &label, .rows = 1, .vocab = a.vocab};
  scored.stride = a.stride;
  scored.inv_temperature = a.inv_temperature;
  scored.logp = a.logp + row;
  scored.lse = &lse;
  scored.entropy = a.entropy ? a.entropy + row : nullptr;
  scored.argmax = &likeliest;
  scored.isa = a.isa;
  token_logprob::cpu::forward(scored);
  return std::isnan(lse) ? -1 : likeliest;
}

/// Draws and scores a row while it is in the cache.
template <class T>
void forward_row(const Forward<T>& a, std::int64_t row, const Vectors<T>& vectors, Work<T>& work) {
  const bool greedy = a.temperature == 0;
  a.token[row] = greedy ? 0 : draw_row(a, row, vectors, work);
  const std::int64_t likeliest = score_row(a, row);
  if (likeliest < 0) a.token[row] = -1;
  if (a.token[row] < 0) {
    a.logp[row] = std::numeric_limits<float>::quiet_NaN();
    if (a.entropy) a.entropy[row] = a.logp[row];
  } else if (greedy) {
    a.token[row] = likeliest;
    score_row(a, row);
  }
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  const Vectors<T> vectors(a.isa);
#pragma omp parallel if (a.rows > 1)
  {
    Work<T> work;
    work.weight.resize(static_cast<std::size_t>(a.vocab));
    work.near.resize(work.weight.size());
#pragma omp for schedule(static)
    for (std::int64_t row = 0; row < a.rows; ++row) forward_row(a, row, vectors, work);
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::sample
