// The state of a training by name, and back.
#include "prefer/core/error.hpp"
#include "prefer/train/fit.hpp"

namespace prefer {
namespace {

void add(NamedTensors& to, const std::string& prefix, const NamedTensors& from) {
  for (const auto& [name, tensor] : from) to[prefix + name] = tensor;
}

NamedTensors part(const NamedTensors& all, const std::string& prefix) {
  NamedTensors result;
  for (auto at = all.lower_bound(prefix); at != all.end() && at->first.starts_with(prefix); ++at) {
    result[at->first.substr(prefix.size())] = at->second;
  }
  return result;
}

/// Throws unless `saved` has each of `own`.
void check_there(const std::string& prefix, const NamedTensors& own, const NamedTensors& saved) {
  for (const auto& [name, _] : own)
    if (!saved.contains(prefix + name)) fail("the checkpoint lacks ", prefix, name);
}

/// Throws unless `saved` has each of `own`, of its shape and type.
void check_fits(const NamedTensors& own, const NamedTensors& saved) {
  for (const auto& [name, tensor] : own) {
    const auto found = saved.find(name);
    if (found == saved.end()) fail("the checkpoint lacks ", name);
    const Tensor& other = found->second;
    if (other.sizes() != tensor.sizes() || other.scalar_type() != tensor.scalar_type()) {
      fail(name, " is ", c10::toString(tensor.scalar_type()), " ", tensor.sizes(), ", and in the checkpoint ",
           c10::toString(other.scalar_type()), " ", other.sizes());
    }
  }
}

void copy(const NamedTensors& to, const NamedTensors& from) {
  const c10::NoGradGuard no_grad;
  for (const auto& [name, tensor] : to) Tensor(tensor).copy_(from.at(name));
}

}  // namespace

Training::Training(const FitConfig& config_, Source& source_, Objective& objective_)
    : config(config_),
      source(source_),
      objective(objective_),
      parameters(trained_parameters(objective_.parameters())),
      gradients(parameters, config_.exact),
      optimizer(config_.optimizer, parameters),
      guard(config_.guard) {
  check_fields(config);
}

NamedTensors Training::state() const {
  NamedTensors result;
  add(result, "weights.", weights());
  add(result, "optimizer.", optimizer.state());
  add(result, "gradients.", gradients.state());
  add(result, "guard.", guard.state());
  add(result, "source.", source.state());
  add(result, "objective.", objective.state());
  return result;
}

NamedTensors Training::weights() const {
  NamedTensors result;
  for (const Trained& parameter : parameters) result[parameter.name] = parameter.value;
  return result;
}

void Training::restore(int64_t at_step, const NamedTensors& saved) {
  const NamedTensors saved_weights = part(saved, "weights.");
  const NamedTensors saved_optimizer = part(saved, "optimizer.");
  check_fits(weights(), saved_weights);
  check_fits(optimizer.state(), saved_optimizer);
  if (saved_weights.size() != parameters.size()) {
    fail("the checkpoint has ", saved_weights.size(), " weights, and ", parameters.size(), " are trained");
  }
  check_there("gradients.", gradients.state(), saved);
  check_there("guard.", guard.state(), saved);  // whose sizes vary
  check_there("source.", source.state(), saved);
  check_there("objective.", objective.state(), saved);
  copy(weights(), saved_weights);
  optimizer.restore(saved_optimizer);
  gradients.restore(part(saved, "gradients."));
  guard.restore(part(saved, "guard."));
  source.restore(part(saved, "source."));
  objective.restore(part(saved, "objective."));
  step = at_step;
}

}  // namespace prefer
