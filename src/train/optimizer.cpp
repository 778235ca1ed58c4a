// Calls the AdamW kernel for each parameter, and keeps its moments and masters.
#include "prefer/train/optimizer.hpp"

#include "kernels/adamw/adamw.hpp"
#include "prefer/core/error.hpp"
#include "prefer/ops/device.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {
namespace adamw = kernels::adamw;

void AdamWConfig::describe(Fields& f) {
  f("learning_rate", learning_rate, "peak of the schedule", non_negative());
  f("weight_decay", weight_decay, "decoupled; leaves out norms and biases", non_negative());
  f("adam_beta1", adam_beta1, "memory of the mean of the gradient", within(0, 0.999999));
  f("adam_beta2", adam_beta2, "memory of the mean of its square", within(0, 0.999999));
  f("adam_epsilon", adam_epsilon, "added to the root of the mean square", positive());
  f("adam_epsilon_mode", adam_epsilon_mode,
    "added after the root's bias is corrected (PyTorch), or before (TensorFlow 1)",
    one_of({"corrected", "uncorrected"}));
  f("max_grad_norm", max_grad_norm, "the gradient is shortened to this norm; 0 = never", non_negative());
}

AdamW::AdamW(const AdamWConfig& config, std::vector<Trained> parameters)
    : config_(config), parameters_(std::move(parameters)) {
  if (config_.adam_beta1 >= 1 || config_.adam_beta2 >= 1)
    fail("AdamW wants adam_beta1 and adam_beta2 below 1, not ", config_.adam_beta1, " and ",
         config_.adam_beta2);
  for (const auto& [name, value, _] : parameters_) {
    if (value.scalar_type() == at::kDouble && !value.is_cpu())
      fail("parameter ", name, ": fp64 is trained on the CPU only");
  }
}

std::vector<AdamW::Moments>& AdamW::moments() const {
  const c10::NoGradGuard no_grad;
  for (std::size_t i = moments_.size(); i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].value;
    const bool is_double = value.scalar_type() == at::kDouble;
    const auto options = value.options().dtype(is_double ? at::kDouble : at::kFloat).requires_grad(false);
    Moments own{.m = at::zeros(value.sizes(), options), .v = at::zeros(value.sizes(), options), .master = {}};
    if (value.scalar_type() == at::kBFloat16) own.master = value.detach().to(at::kFloat);
    moments_.push_back(std::move(own));
  }
  return moments_;
}

int64_t AdamW::state_bytes() const {
  int64_t bytes = 0;
  for (const auto& [_, value, scale] : parameters_) {
    const int64_t wide = value.scalar_type() == at::kDouble ? 8 : 4;
    bytes += value.numel() * wide * (value.scalar_type() == at::kBFloat16 ? 3 : 2);
  }
  return bytes;
}

void AdamW::update(const std::vector<Tensor>& gradients, double learning_rate, double scale) {
  ++updates_;
  // lr sqrt(1 - beta2^t) m / (sqrt(v) + eps) is the kernel's step with eps / sqrt(1 - beta2^t).
  const double epsilon =
      config_.adam_epsilon_mode == "uncorrected"
          ? config_.adam_epsilon / std::sqrt(1 - std::pow(config_.adam_beta2, static_cast<double>(updates_)))
          : config_.adam_epsilon;
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const Tensor& value = parameters_[i].value;
    const Moments& own = moments()[i];
    const ops::DeviceScope scope(value.device());
    const auto step = [&]<class T>(T) {
      const Tensor& written = own.master.defined() ? own.master : value;
      return adamw::Step<T>{
          .param = written.mutable_data_ptr<T>(),
          .grad = gradients[i].const_data_ptr<T>(),
          .m = own.m.mutable_data_ptr<T>(),
          .v = own.v.mutable_data_ptr<T>(),
          .copy = own.master.defined() ? static_cast<kernels::bf16*>(value.mutable_data_ptr()) : nullptr,
          .size = value.numel(),
          .learning_rate = learning_rate * parameters_[i].learning_rate_scale,
          .beta1 = config_.adam_beta1,
          .beta2 = config_.adam_beta2,
          .eps = epsilon,
          .weight_decay = value.dim() > 1 ? config_.weight_decay : 0,
          .grad_scale = scale,
          .step = updates_,
          .stream = ops::stream_of(value.device())};
    };
    if (value.scalar_type() == at::kDouble) {
      adamw::reference::forward<double>(step(double{}));
    } else if (value.is_cpu()) {
      adamw::cpu::forward<float>(step(float{}));
    } else {
      adamw::cuda::forward<float>(step(float{}));
    }
    value.unsafeGetTensorImpl()->bump_version();
  }
}

double AdamW::clipping(double norm) const {
  // As torch.nn.utils.clip_grad_norm_, with its 1e-6.
  return config_.max_grad_norm > 0 ? std::min(1.0, config_.max_grad_norm / (norm + 1e-6)) : 1.0;
}

NamedTensors AdamW::state() const {
  NamedTensors result;
  result["updates"] = at::full({1}, updates_, at::kLong);
  for (std::size_t i = 0; i < parameters_.size(); ++i) {
    const std::string& name = parameters_[i].name;
    const Moments& own = moments()[i];
    result["m." + name] = own.m;
    result["v." + name] = own.v;
    if (own.master.defined()) result["master." + name] = own.master;
  }
  return result;
}

void AdamW::restore(const NamedTensors& saved) {
  const NamedTensors own = state();
  for (const auto& [name, tensor] : own) Tensor(tensor).copy_(saved.at(name));
  updates_ = own.at("updates").item<int64_t>();
}

}  // namespace prefer
