// Judges a step before it changes anything.
#include "prefer/train/guard.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <sstream>

namespace prefer {
namespace {

constexpr std::size_t kFewest = 16;  // norms that make a median worth comparing with
constexpr double kLargestNorm =
    1.8446742e19;  // its square is the largest that float32, the type of moments, holds

double median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  return *middle;
}

template <class T>
std::vector<T> values_of(const NamedTensors& state, const std::string& name) {
  const auto found = state.find(name);
  if (found == state.end()) fail("the guard's state lacks ", name);
  const Tensor tensor = found->second.contiguous();
  return {tensor.const_data_ptr<T>(), tensor.const_data_ptr<T>() + tensor.numel()};
}

}  // namespace

void GuardConfig::describe(Fields& f) {
  f("on_bad", on_bad, "what a loss or gradient that is not finite, or a spike, leads to",
    one_of({"stop", "skip"}));
  f("spike", spike, "a gradient norm this many deviations above the median of the last ones is bad; 0 = off",
    non_negative());
  f("window", window, "steps that the median and max_skips look back", at_least(16));
  f("max_skips", max_skips, "skipped steps within the window that are borne before the run stops",
    at_least(0));
}

double Guard::limit() const {
  if (config_.spike == 0 || norms_.size() < kFewest) return std::numeric_limits<double>::infinity();
  std::vector<double> values(norms_.begin(), norms_.end());
  const double middle = median(values);
  for (double& value : values) value = std::abs(value - middle);
  return middle + config_.spike * std::max(1.4826 * median(std::move(values)), middle / 20);
}

std::string Guard::reason(const Measured& measured, Gradients& gradients) const {
  const double norm = measured.norm;
  if (!std::isfinite(measured.loss)) {
    return "the loss is " + std::to_string(measured.loss) +
           (measured.not_finite.empty() ? "" : ", from " + measured.not_finite + " on");
  }
  const std::string not_finite = std::isfinite(norm) ? "" : gradients.first_not_finite();
  if (!not_finite.empty()) return "the gradient of " + not_finite + " is not finite";
  if (!(norm <= kLargestNorm)) {
    std::ostringstream text;
    text << "the gradient norm " << norm
         << " overflows: float32 does not hold its square; the largest part is that of "
         << gradients.largest();
    return text.str();
  }
  if (norm > limit()) {
    return "the gradient norm " + std::to_string(norm) + " is a spike: above " + std::to_string(limit());
  }
  return "";
}

std::string Guard::judge(int64_t step, const Measured& measured, Gradients& gradients, Team& team) {
  const std::string why = team.agree(reason(measured, gradients));
  while (!skips_.empty() && skips_.front() <= step - config_.window) skips_.pop_front();
  if (why.empty()) {
    norms_.push_back(measured.norm);
    if (static_cast<int64_t>(norms_.size()) > config_.window) norms_.pop_front();
    return why;
  }
  if (config_.on_bad == "stop")
    fail("step ", step, ": ", why, "; no weight was changed (guard.on_bad=skip goes on)");
  if (static_cast<int64_t>(skips_.size()) >= config_.max_skips) {
    fail("step ", step, ": ", why, ", and ", skips_.size(), " of the last ", config_.window,
         " steps were skipped already; guard.max_skips is ", config_.max_skips);
  }
  skips_.push_back(step);
  ++skipped_;
  return why;
}

NamedTensors Guard::state() const {
  return {{"norms", tensor_of(std::vector<double>(norms_.begin(), norms_.end()), at::kDouble)},
          {"skips", tensor_of(std::vector<int64_t>(skips_.begin(), skips_.end()), at::kLong)},
          {"skipped", at::full({1}, skipped_, at::kLong)}};
}

void Guard::restore(const NamedTensors& state) {
  const auto norms = values_of<double>(state, "norms");
  const auto skips = values_of<int64_t>(state, "skips");
  norms_.assign(norms.begin(), norms.end());
  skips_.assign(skips.begin(), skips.end());
  skipped_ = values_of<int64_t>(state, "skipped").at(0);
}

}  // namespace prefer
