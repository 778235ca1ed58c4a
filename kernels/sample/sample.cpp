// Reference and CPU twins of sample.
#include "kernels/sample/sample.hpp"

#include "kernels/sample/body.hpp"
#include "kernels/vector.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <numeric>
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
    double sum = 0;
    for (const double v : x) sum += std::exp(v - *best);
    a.token[row] = -1;
    a.logp[row] = std::numeric_limits<Wide<T>>::quiet_NaN();
    if (!(sum > 0)) continue;
    a.token[row] = a.temperature == 0
                       ? best - x.begin()
                       : draw(kept_weights(x, a.temperature, a.top_k, a.top_p), a.uniform[row]);
    a.logp[row] = static_cast<Wide<T>>(x[static_cast<std::size_t>(a.token[row])] - *best - std::log(sum));
  }
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void forward(const Forward<double>&);

}  // namespace reference

namespace cpu {
namespace {

/// Bins of tokens by how far their logits lie below the largest, so that only one bin has to be sorted.
template <class T>
class Bins {
 public:
  Bins(const T* x, const std::vector<float>& weight, float max) : x_(x), weight_(weight), max_(max) {
    for (std::size_t i = 0; i < weight_.size(); ++i) {
      Share& bin = bins_[bin_of(i)];
      bin.mass += weight_[i];
      bin.count += 1;
    }
  }

  struct Prefix {
    Ranked last;
    Share share;
  };

  Share all() const { return std::accumulate(bins_.begin(), bins_.end(), Share{0, 0}); }

  /// The shortest prefix of the ranking whose share `reached` takes; all of them, where none does.
  template <class Reached>
  Prefix shortest(Reached reached) const {
    Prefix prefix{{-INFINITY, static_cast<std::int64_t>(weight_.size())}, {0, 0}};
    for (std::size_t bin = 0; bin < bins_.size(); ++bin) {
      if (!reached(prefix.share + bins_[bin])) {
        prefix.share = prefix.share + bins_[bin];
        continue;
      }
      for (const Ranked& token : sorted(bin)) {
        prefix.last = token;
        prefix.share = prefix.share + Share{weight_[static_cast<std::size_t>(token.index)], 1};
        if (reached(prefix.share)) return prefix;
      }
      return prefix;  // the bin's sum reached it by rounding alone
    }
    return prefix;
  }

 private:
  static constexpr float kBinsPerNat = 64;

  std::size_t bin_of(std::size_t i) const {
    const float below = (max_ - widen(x_[i])) * kBinsPerNat;
    return static_cast<std::size_t>(std::min(below, static_cast<float>(bins_.size() - 1)));
  }

  std::vector<Ranked> sorted(std::size_t bin) const {
    std::vector<Ranked> members;
    for (std::size_t i = 0; i < weight_.size(); ++i) {
      if (bin_of(i) == bin) members.push_back({widen(x_[i]), static_cast<std::int64_t>(i)});
    }
    std::sort(members.begin(), members.end(), [](const Ranked& a, const Ranked& b) {
      return a.logit > b.logit || (a.logit == b.logit && a.index < b.index);
    });
    return members;
  }

  const T* x_;
  const std::vector<float>& weight_;
  float max_;
  std::vector<Share> bins_ = std::vector<Share>(2048, Share{0, 0});
};

/// The last token that the filters keep.
template <class T>
Ranked last_kept(const Forward<T>& a, const Bins<T>& bins) {
  const bool some = a.top_k > 0 && a.top_k < a.vocab;
  typename Bins<T>::Prefix prefix{{-INFINITY, a.vocab}, bins.all()};
  if (some) prefix = bins.shortest([&](const Share& s) { return s.count >= a.top_k; });
  if (a.top_p >= 1) return prefix.last;
  const double target = a.top_p * prefix.share.mass;
  return bins.shortest([&](const Share& s) { return s.mass >= target; }).last;
}

std::int64_t draw(const std::vector<float>& weight, double u) {
  double total = 0;
  for (const float w : weight) total += w;
  double below = 0;
  std::size_t i = 0;
  while (i + 1 < weight.size() && below + weight[i] <= u * total) below += weight[i++];
  while (weight[i] == 0) --i;  // u * total may round to the total
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
std::int64_t draw_row(const Forward<T>& a, std::int64_t row, const Vectors<T>& vectors) {
  const T* x = a.logits + row * a.stride;
  std::vector<float> weight(static_cast<std::size_t>(a.vocab));
  const float max = vectors.largest(x, a.vocab);
  const float scale = static_cast<float>(1 / a.temperature);
  if (!(vectors.weigh(x, a.vocab, max, scale, weight.data()) > 0)) return -1;  // NaN too
  if (a.top_k > 0 || a.top_p < 1) {
    vectors.keep(x, a.vocab, last_kept(a, Bins<T>(x, weight, max)), weight.data());
  }
  return draw(weight, a.uniform[row]);
}

/// token_logprob's own, so that a token's bits are those that scoring it gives. Rows without a token get NaN.
template <class T>
void score(const Forward<T>& a, std::int64_t* argmax) {
  std::vector<std::int64_t> label(static_cast<std::size_t>(a.rows));
  std::vector<float> lse(label.size());
  std::transform(a.token, a.token + a.rows, label.begin(),
                 [](std::int64_t token) { return token < 0 ? 0 : token; });
  token_logprob::Forward<T> scored{
      .logits = a.logits, .label = label.data(), .rows = a.rows, .vocab = a.vocab};
  scored.stride = a.stride;
  scored.logp = a.logp;
  scored.lse = lse.data();
  scored.argmax = argmax;
  scored.isa = a.isa;
  token_logprob::cpu::forward(scored);
  for (std::int64_t row = 0; row < a.rows; ++row) {
    if (std::isnan(lse[static_cast<std::size_t>(row)])) a.token[row] = -1;
    if (a.token[row] < 0) a.logp[row] = std::numeric_limits<float>::quiet_NaN();
  }
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.rows == 0) return;
  if (a.temperature == 0) {
    std::fill(a.token, a.token + a.rows, 0);
    std::vector<std::int64_t> best(static_cast<std::size_t>(a.rows));
    score(a, best.data());
    std::copy(best.begin(), best.end(), a.token);
  } else {
    const Vectors<T> vectors(a.isa);
#pragma omp parallel for schedule(static) if (a.rows > 1)
    for (std::int64_t row = 0; row < a.rows; ++row) a.token[row] = draw_row(a, row, vectors);
  }
  score(a, nullptr);
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace cpu
}  // namespace prefer::kernels::sample
