// Gathers the two sides of each pair, takes the loss, and says what TRL says of them.
#include "prefer/objectives/preference.hpp"

#include <ATen/ops/nonzero.h>

#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"

namespace prefer {
namespace {

Side side(const Batch& batch, const NamedTensors& sums, int64_t which) {
  const Tensor rows = at::nonzero(batch.role == which).squeeze(1);  // [N]
  const auto pick = [&](const Tensor& of) { return of.defined() ? of.index_select(0, rows) : Tensor(); };
  return {pick(sums.at("logp")), pick(sums.at("reference")), pick(sums.at("length")), pick(batch.grade)};
}

void require_pairs(const Batch& batch) {
  const Tensor chosen = at::nonzero(batch.role == role::kChosen).squeeze(1);
  const Tensor rejected = at::nonzero(batch.role == role::kRejected).squeeze(1);
  if (chosen.numel() != rejected.numel() ||
      !at::equal(batch.group.index_select(0, chosen), batch.group.index_select(0, rejected))) {
    fail("a pairwise loss wants one chosen and one rejected sequence in each group; there are ", chosen.numel(),
         " chosen and ", rejected.numel(), " rejected");
  }
}

}  // namespace

PreferenceObjective::PreferenceObjective(std::shared_ptr<Model> policy, PreferenceLoss loss, ReferenceSource reference)
    : policy_(std::move(policy)), loss_(std::move(loss)), reference_(std::move(reference)) {}

std::vector<ParameterGroup> PreferenceObjective::parameters() const {
  return {{"policy", policy_->parameters(), 1.0}};
}

Pairs PreferenceObjective::pairs(const Batch& batch) const {
  require_pairs(batch);
  NamedTensors sums;
  const Tensor logp = token_logp(*policy_, batch);  // [M]
  sums["logp"] = by_sequence(logp, batch);          // [S]
  sums["length"] = by_sequence(at::ones_like(logp.detach()), batch);
  sums["reference"] = Tensor();
  if (loss_.needs_reference()) {
    const c10::NoGradGuard frozen;
    if (!reference_.model && !batch.has("reference")) {
      fail("the loss ", loss_.name(), " wants a reference model or a batch with a column \"reference\"");
    }
    const Tensor reference = reference_.model ? token_logp(*reference_.model, batch) : batch.column("reference");
    sums["reference"] = by_sequence(reference, batch);  // [S]
  }
  const Side chosen = side(batch, sums, role::kChosen);
  const Side rejected = side(batch, sums, role::kRejected);
  const Tensor rows = at::nonzero(batch.role == role::kChosen).squeeze(1);
  return {chosen, rejected, batch.share.index_select(0, rows).to(at::kDouble)};
}

Loss PreferenceObjective::operator()(const Batch& batch, const NamedTensors&) {
  const Pairs p = pairs(batch);
  const Tensor each = loss_(p);  // [N]
  Loss loss;
  loss.terms.push_back({loss_.name(), (each * p.share).sum(), "groups", 1.0});

  const c10::NoGradGuard detached;
  const double n = p.share.sum().item<double>();
  const Tensor chosen = loss_.reward(p.chosen);      // [N]
  const Tensor rejected = loss_.reward(p.rejected);  // [N]
  const Tensor wins = (chosen > rejected).to(at::kDouble) + 0.5 * (chosen == rejected).to(at::kDouble);
  const auto add = [&](const char* name, const Tensor& values) { loss.metrics.add(name, (values * p.share).sum(), n); };
  add("loss", each);
  add("rewards/chosen", chosen);
  add("rewards/rejected", rejected);
  add("rewards/margins", chosen - rejected);
  add("rewards/accuracies", wins);
  add("logps/chosen", p.chosen.logp);
  add("logps/rejected", p.rejected.logp);
  if (loss_.needs_reference() && reference_.is_start) {
    const Tensor gap = at::maximum(p.chosen.ratio().abs(), p.rejected.ratio().abs()).max();
    loss.identities.push_back({"policy equals reference (largest gap of a sum of log-probs, in nats)", gap.item<double>(),
                               0.0, reference_.bound});
  }
  return loss;
}

}  // namespace prefer
