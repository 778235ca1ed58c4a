// Chooses an estimator by its name, whitens, and moves the KL coefficient.
#include "kernels/kl/estimators.hpp"
#include "prefer/core/error.hpp"
#include "prefer/credit/kl_controller.hpp"
#include "prefer/credit/kl_estimators.hpp"
#include "prefer/credit/rewards.hpp"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace prefer {

double sum_in_order(const Tensor& values) {
  const Tensor wide = values.to(at::kCPU, at::kDouble).contiguous();
  const auto* first = wide.const_data_ptr<double>();
  return std::accumulate(first, first + wide.numel(), 0.0);
}

Tensor kl_estimate(const std::string& name, const Tensor& q) {
  const kernels::kl::Estimators<Tensor> of{q};
  if (name == "k1") return of.k1();
  if (name == "k2") return of.k2();
  if (name == "k3") return of.k3();
  fail("there is no estimator of the KL called ", name, "; there are k1, k2 and k3");
}

Tensor whiten(const Tensor& x, bool shift_mean) {
  const Tensor wide = x.to(at::kDouble);
  const auto count = static_cast<double>(x.numel());
  if (count < 2) return shift_mean ? at::zeros_like(x) : x;
  const double mean = sum_in_order(wide) / count;
  const Tensor apart = wide - mean;
  const double variance = sum_in_order(apart * apart) / (count - 1);
  const Tensor white = apart / std::sqrt(variance + 1e-8);
  return (shift_mean ? white : white + mean).to(x.scalar_type());
}

void KlController::update(int64_t iteration, double kl, double episodes) {
  if (target_ == 0 || iteration < iterations_) return;
  iterations_ = iteration + 1;
  const double error = std::clamp(kl / target_ - 1, -0.2, 0.2);
  coefficient_ *= 1 + error * episodes / horizon_;
}

NamedTensors KlController::state() const {
  return {{"kl_coef", at::full({1}, coefficient_, at::kDouble)},
          {"kl_iterations", at::full({1}, iterations_, at::kLong)}};
}

void KlController::restore(const NamedTensors& state) {
  for (const char* name : {"kl_coef", "kl_iterations"})
    if (!state.contains(name)) fail("the checkpoint lacks ", name);
  coefficient_ = state.at("kl_coef").item<double>();
  iterations_ = state.at("kl_iterations").item<int64_t>();
}

}  // namespace prefer
