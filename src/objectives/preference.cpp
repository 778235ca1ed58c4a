// Gathers the two sides of each pair, takes the loss, and says what TRL says of them.
#include "prefer/objectives/preference.hpp"

#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"

#include <ATen/ops/nonzero.h>

namespace prefer {
namespace {

/// Which sequences are the sides of the pairs, in the order of the pairs.
struct Rows {
  Tensor chosen;    // [N] on the CPU
  Tensor rejected;  // [N]
};

Rows pair_rows(const Batch& batch) {
  const auto rows_of = [&](int64_t which) { return at::nonzero(batch.role == which).squeeze(1); };
  const Rows rows{rows_of(role::kChosen), rows_of(role::kRejected)};
  if (rows.chosen.numel() != rows.rejected.numel() ||
      !at::equal(batch.group.index_select(0, rows.chosen), batch.group.index_select(0, rows.rejected))) {
    fail("a pairwise loss wants one chosen and one rejected sequence in each group; there are ",
         rows.chosen.numel(), " chosen and ", rows.rejected.numel(), " rejected");
  }
  return rows;
}

Side side(const Batch& batch, const NamedTensors& sums, const Tensor& rows) {
  const Tensor there = rows.to(sums.at("logp").device(), at::kLong, /*non_blocking=*/true);
  const auto pick = [&](const Tensor& of) { return of.defined() ? of.index_select(0, there) : Tensor(); };
  return {pick(sums.at("logp")), pick(sums.at("reference")), pick(sums.at("length")), pick(batch.grade)};
}

}  // namespace

PreferenceObjective::PreferenceObjective(std::shared_ptr<Model> policy, PreferenceLoss loss,
                                         ReferenceSource reference)
    : policy_(std::move(policy)), loss_(std::move(loss)), reference_(std::move(reference)) {}

std::vector<ParameterGroup> PreferenceObjective::parameters() const {
  return {{"policy", policy_->parameters(), 1.0}};
}

Pairs PreferenceObjective::pairs(const Batch& batch) const {
  const Rows rows = pair_rows(batch);
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
    const Tensor reference =
        batch.has("reference") ? batch.column("reference") : token_logp(*reference_.model, batch);
    sums["reference"] = by_sequence(reference, batch);  // [S]
  }
  const Tensor share = batch.share.index_select(0, rows.chosen).to(at::kDouble);
  return {side(batch, sums, rows.chosen), side(batch, sums, rows.rejected), share};
}

Loss PreferenceObjective::operator()(const Batch& batch, const NamedTensors&) { return loss(pairs(batch)); }

Loss PreferenceObjective::loss(const Pairs& p) const {
  const Tensor each = loss_(p);  // [N]
  const Tensor share = p.share.to(each.device(), at::kDouble, /*non_blocking=*/true);
  Loss loss;
  loss.terms.push_back({loss_.name(), (each * share).sum(), "groups", 1.0});

  const c10::NoGradGuard detached;
  const double n = p.share.sum().item<double>();
  const Tensor chosen = loss_.reward(p.chosen);      // [N]
  const Tensor rejected = loss_.reward(p.rejected);  // [N]
  const Tensor wins = (chosen > rejected).to(at::kDouble) + 0.5 * (chosen == rejected).to(at::kDouble);
  const auto add = [&](const char* name, const Tensor& values) {
    loss.metrics.add(name, (values * share).sum(), n);
  };
  add("loss", each);
  add("rewards/chosen", chosen);
  add("rewards/rejected", rejected);
  add("rewards/margins", chosen - rejected);
  add("rewards/accuracies", wins);
  add("logps/chosen", p.chosen.logp);
  add("logps/rejected", p.rejected.logp);
  if (loss_.needs_reference() && reference_.is_start && at_start_) {
    const Tensor gap = at::maximum(p.chosen.ratio().abs(), p.rejected.ratio().abs()).max();
    loss.identities.push_back({"policy equals reference (largest gap of a sum of log-probs, in nats)",
                               gap.item<double>(), 0.0, reference_.bound});
  }
  return loss;
}

}  // namespace prefer
