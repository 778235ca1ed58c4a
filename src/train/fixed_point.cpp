// Rounds to int64 and back, on the CPU in one pass, on a GPU by LibTorch's operations.
#include "prefer/train/fixed_point.hpp"

#include "prefer/core/error.hpp"
#include "prefer/dist/team.hpp"

#include <ATen/ops/round.h>

#include <algorithm>
#include <cmath>
#include <limits>

namespace prefer {
namespace {

constexpr int64_t kPiece = 1 << 16;  // elements that one thread takes at once
constexpr double kMost = 0x1p62;     // beyond it a pass is made again, and what is added does not matter

struct Measured {
  double largest = 0;
  bool finite = true;

  void take(const Measured& other) {
    largest = std::max(largest, other.largest);
    finite = finite && other.finite;
  }
};

template <class T>
Measured add_piece(int64_t* sum, const T* gradient, int64_t size, double scale, bool first) {
  Measured measured;
  for (int64_t i = 0; i < size; ++i) {
    const double g = static_cast<double>(gradient[i]);
    const bool finite = std::abs(g) <= std::numeric_limits<double>::max();
    const int64_t units = finite ? std::llrint(std::clamp(g * scale, -kMost, kMost)) : 0;
    sum[i] =
        first ? units : static_cast<int64_t>(static_cast<uint64_t>(sum[i]) + static_cast<uint64_t>(units));
    measured.take({finite ? std::abs(g) : 0, finite});
  }
  return measured;
}

template <class T>
Measured add_on_cpu(const Tensor& sum, const Tensor& gradient, double scale, bool first) {
  const T* from = gradient.const_data_ptr<T>();
  auto* to = sum.mutable_data_ptr<int64_t>();
  const int64_t size = gradient.numel();
  std::vector<Measured> pieces(static_cast<std::size_t>((size + kPiece - 1) / kPiece));
  at::parallel_for(0, static_cast<int64_t>(pieces.size()), 1, [&](int64_t begin, int64_t end) {
    for (int64_t p = begin; p < end; ++p) {
      const int64_t at = p * kPiece;
      pieces[p] = add_piece(to + at, from + at, std::min(kPiece, size - at), scale, first);
    }
  });
  Measured all;
  for (const Measured& piece : pieces) all.take(piece);
  return all;
}

Measured add_on_cpu(const Tensor& sum, const Tensor& gradient, double scale, bool first) {
  switch (gradient.scalar_type()) {
    case at::kFloat:
      return add_on_cpu<float>(sum, gradient, scale, first);
    case at::kBFloat16:
      return add_on_cpu<c10::BFloat16>(sum, gradient, scale, first);
    case at::kDouble:
      return add_on_cpu<double>(sum, gradient, scale, first);
    default:
      fail("exact sums are of Float, BFloat16 and Double, not ", c10::toString(gradient.scalar_type()));
  }
}

/// Measures without waiting for the device. [2]
Tensor add_on_device(Tensor sum, const Tensor& gradient, double scale, bool first) {
  const Tensor wide = gradient.to(at::kDouble);
  const Tensor finite = at::isfinite(wide), zero = at::zeros({}, wide.options());
  const Tensor units =
      at::round(at::where(finite, at::clamp(wide * scale, -kMost, kMost), zero)).to(at::kLong);
  if (first) sum.zero_();
  sum.add_(units);
  return at::stack(
      {at::where(finite, wide.abs(), zero).max(), (finite.to(at::kDouble).min() == 0).to(at::kDouble)});
}

double scale_of(double largest) { return largest > 0 ? std::ldexp(1.0, 40 - std::ilogb(largest)) : 0; }

}  // namespace

FixedPoint::FixedPoint(std::size_t parameters) : not_finite_(parameters, false) {}

double FixedPoint::limit() const { return std::min(0x1p60, kMost / static_cast<double>(slots_)); }

void FixedPoint::begin(int64_t slots) {
  slots_ = std::max<int64_t>(1, slots);
  scale_ = scale_of(largest_);
  seen_ = 0;
  not_finite_.assign(not_finite_.size(), false);
}

void FixedPoint::add(Tensor sum, const Tensor& gradient, std::size_t parameter, bool first) {
  if (gradient.numel() == 0) return;
  if (!gradient.is_cpu()) {
    waiting_.push_back({parameter, add_on_device(std::move(sum), gradient, scale_, first)});
    return;
  }
  const Measured measured = add_on_cpu(sum, gradient.contiguous(), scale_, first);
  seen_ = std::max(seen_, measured.largest);
  if (!measured.finite) not_finite_[parameter] = true;
}

bool FixedPoint::hold(Team& team) {
  if (!waiting_.empty()) {
    std::vector<Tensor> measured;
    for (const OnDevice& one : waiting_) measured.push_back(one.measured);
    const Tensor read = at::stack(measured).to(at::kCPU);  // [waiting, 2]
    const double* value = read.const_data_ptr<double>();
    for (std::size_t i = 0; i < waiting_.size(); ++i) {
      seen_ = std::max(seen_, value[2 * i]);
      if (value[2 * i + 1] != 0) not_finite_[waiting_[i].parameter] = true;
    }
    waiting_.clear();
  }
  seen_ = std::ranges::max(team.gather(seen_));
  std::vector<Tensor> flags = {
      tensor_of(std::vector<int64_t>(not_finite_.begin(), not_finite_.end()), at::kLong)};
  team.reduce(flags);
  const auto* flag = flags[0].const_data_ptr<int64_t>();
  for (std::size_t i = 0; i < not_finite_.size(); ++i) not_finite_[i] = flag[i] != 0;
  if (seen_ == 0 || (scale_ > 0 && seen_ * scale_ <= limit())) return true;
  scale_ = scale_of(seen_);
  seen_ = 0;
  not_finite_.assign(not_finite_.size(), false);
  return false;
}

void FixedPoint::read(Tensor result, const Tensor& sum, std::size_t parameter) const {
  if (not_finite_[parameter]) {
    result.fill_(std::numeric_limits<double>::quiet_NaN());
    return;
  }
  result.copy_(sum.to(at::kDouble).mul_(scale_ > 0 ? 1 / scale_ : 0));
}

void FixedPoint::passed() {
  if (seen_ > 0) largest_ = seen_;
}

NamedTensors FixedPoint::state() const { return {{"largest", at::full({1}, largest_, at::kDouble)}}; }

void FixedPoint::restore(const NamedTensors& state) {
  const auto found = state.find("largest");
  if (found == state.end())
    fail("the checkpoint lacks gradients.largest: it is not of a run with team.exact=true");
  largest_ = found->second.item<double>();
}

}  // namespace prefer
