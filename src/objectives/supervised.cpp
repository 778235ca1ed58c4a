// Log-probability, entropy and likeliest token of each scored token, and their sums.
#include "prefer/objectives/supervised.hpp"

#include "prefer/ops/embedding.hpp"
#include "prefer/ops/linear_logprob.hpp"

namespace prefer {
namespace {

/// The weight of each scored token; undefined where all are 1, which the host can see without the device.
Tensor weights_of(const Batch& batch) {
  const bool even = at::equal(batch.share, at::ones_like(batch.share));
  if (even && !batch.weight.defined()) return {};
  const Tensor share = batch.share.to(batch.sequence.device()).index_select(0, batch.sequence);  // [M]
  const Tensor weight = batch.weight.defined() ? share * batch.weight : share;
  return weight.to(at::kDouble);
}

}  // namespace

Tensor Said::sum(const Tensor& of) const {
  const Tensor wide = of.to(at::kDouble);
  return (weight.defined() ? wide * weight : wide).sum();
}

std::vector<ParameterGroup> SupervisedObjective::parameters() const {
  return {{"model", model_->parameters(), 1.0}};
}

Counts SupervisedObjective::count(const Plan& plan) const {
  Counts total = plan.total();
  total["learnt_tokens"] = total["completion_tokens"] + total["prompt_tokens"];
  return total;
}

Said SupervisedObjective::said(const Batch& batch) const {
  const Tensor rows = embed(model_->hidden(batch), batch.row);  // [M, D]
  const Logprobs all = linear_logprob(rows, model_->head(), batch.label, {.entropy = true, .argmax = true});
  return {all.logp, all.entropy.detach(), (all.argmax == batch.label).to(at::kDouble), weights_of(batch)};
}

Loss SupervisedObjective::operator()(const Batch& batch, const NamedTensors&) { return loss(said(batch)); }

Loss SupervisedObjective::loss(const Said& said) const {
  Loss loss;
  loss.terms.push_back({"nll", -said.sum(said.logp), "learnt_tokens", 1.0});

  const c10::NoGradGuard detached;
  const double tokens =
      said.weight.defined() ? said.weight.sum().item<double>() : static_cast<double>(said.logp.size(0));
  loss.metrics.add("loss", -said.sum(said.logp), tokens);
  loss.metrics.add("mean_token_accuracy", said.sum(said.right), tokens);
  loss.metrics.add("entropy", said.sum(said.entropy), tokens);
  return loss;
}

}  // namespace prefer
