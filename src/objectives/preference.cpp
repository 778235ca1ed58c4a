// Gathers the two sides of each pair, takes the loss, and says what TRL says of them.
#include "prefer/objectives/preference.hpp"

#include "prefer/core/error.hpp"
#include "src/objectives/pairs.hpp"

namespace prefer {
namespace {

Side side(const Batch& batch, const SequenceSums& sums, const Tensor& rows) {
  const Tensor there = rows.to(sums.logp.device(), at::kLong, /*non_blocking=*/true);
  const auto pick = [&](const Tensor& of) { return of.defined() ? of.index_select(0, there) : Tensor(); };
  return {pick(sums.logp), pick(sums.reference), pick(sums.length), pick(batch.grade)};
}

/// What the loss says of each pair, [N]. Throws Error where that is not one number each, or has no gradient.
Tensor each_of(const PreferenceLoss& loss, const Pairs& p) {
  const Tensor each = loss(p);
  const int64_t pairs = p.chosen.logp.size(0);
  if (each.sizes() != at::IntArrayRef{pairs})
    fail("the loss ", loss.name(), " gave ", each.sizes(), " for ", pairs, " pairs; [", pairs, "] is wanted");
  if (p.chosen.logp.requires_grad() && !each.requires_grad())
    fail("the loss ", loss.name(), " has no gradient: nothing in it follows from the policy's log-probs");
  return each;
}

std::string of_slot(const char* what, int64_t slot) { return std::string(what) + "." + std::to_string(slot); }

// The numbers of a pair that a coupled loss sees, as rows of a table that ranks add up.
enum Row : int64_t {
  kChosen,
  kRejected,
  kChosenReference,
  kRejectedReference,
  kChosenLength,
  kRejectedLength,
  kShare,
  kRows
};

Tensor table_of(const Pairs& p) {
  const auto there = [&](const Tensor& t) {
    return t.defined() ? t.to(at::kDouble) : at::zeros_like(p.chosen.logp);
  };
  return at::stack({p.chosen.logp, p.rejected.logp, there(p.chosen.reference), there(p.rejected.reference),
                    there(p.chosen.length), there(p.rejected.length),
                    p.share.to(p.chosen.logp.device())});  // [rows, N]
}

}  // namespace

PreferenceObjective::PreferenceObjective(std::shared_ptr<Model> policy, PreferenceLoss loss,
                                         ReferenceSource reference)
    : policy_(std::move(policy)), loss_(std::move(loss)), reference_(std::move(reference)) {
  check_apart(*policy_, reference_);
  check_fields(loss_);
}

std::vector<ParameterGroup> PreferenceObjective::parameters() const {
  return {{"policy", policy_->parameters(), 1.0}};
}

Pairs PreferenceObjective::pairs(const Batch& batch) const {
  const PairRows rows = pair_rows(batch);
  const SequenceSums sums = sequence_sums(*policy_, reference_, batch, loss_.needs_reference(), loss_.name());
  const Tensor share = batch.share.index_select(0, rows.chosen).to(at::kDouble);
  return {side(batch, sums, rows.chosen), side(batch, sums, rows.rejected), share};
}

NamedTensors PreferenceObjective::prepare(const Plan& plan, Source& source, Team& team) {
  if (!loss_.coupled()) return {};
  std::vector<int64_t> first{0};  // pair of each slot
  for (const Slot& slot : plan.slots)
    first.push_back(first.back() + static_cast<int64_t>(slot.records.size()));
  std::vector<Tensor> shared(1);
  {
    const c10::NoGradGuard frozen;
    for (const int64_t mine : team.mine(tokens_of(plan.slots))) {
      const Tensor part = table_of(pairs(source.batch(plan.step, plan.slots[mine])));
      if (!shared[0].defined()) shared[0] = at::zeros({kRows, first.back()}, part.options());
      shared[0].narrow(1, first[mine], part.size(1)).copy_(part);
    }
    if (!shared[0].defined()) {  // a rank without slots
      const at::Device device = policy_->head().device();
      shared[0] = at::zeros({kRows, first.back()}, at::TensorOptions(device).dtype(at::kDouble));
    }
    team.reduce(shared);
  }
  const at::AutoGradMode enabled(true);
  const auto row = [&](Row which) { return shared[0][which]; };
  const Tensor chosen = row(kChosen).clone().requires_grad_(),
               rejected = row(kRejected).clone().requires_grad_();
  const auto known = [&](Row which) { return loss_.needs_reference() ? row(which) : Tensor(); };
  const Tensor each = each_of(loss_, {{chosen, known(kChosenReference), row(kChosenLength), {}},
                                      {rejected, known(kRejectedReference), row(kRejectedLength), {}},
                                      row(kShare)});  // [N of the step]
  (each * row(kShare)).sum().backward();
  NamedTensors prepared;
  for (std::size_t i = 0; i < plan.slots.size(); ++i) {
    const auto part = [&](const Tensor& t) { return t.narrow(0, first[i], first[i + 1] - first[i]); };
    prepared[of_slot("loss", plan.slots[i].index)] = part(each.detach());
    prepared[of_slot("by_chosen", plan.slots[i].index)] = part(chosen.grad());
    prepared[of_slot("by_rejected", plan.slots[i].index)] = part(rejected.grad());
  }
  return prepared;
}

Loss PreferenceObjective::operator()(const Batch& batch, const NamedTensors& prepared) {
  return loss(pairs(batch), prepared, batch.slot);
}

std::pair<Tensor, Tensor> PreferenceObjective::each_and_sum(const Pairs& p, const NamedTensors& prepared,
                                                            int64_t slot) const {
  const Tensor share = p.share.to(p.chosen.logp.device(), at::kDouble, /*non_blocking=*/true);
  if (!loss_.coupled()) {
    const Tensor each = each_of(loss_, p);  // [N]
    return {each, (each * share).sum()};
  }
  const auto at = [&](const char* what) {
    const auto found = prepared.find(of_slot(what, slot));
    if (found == prepared.end())
      fail("the loss ", loss_.name(), " wants what `prepare` gives for slot ", slot);
    return found->second.to(p.chosen.logp.device());
  };
  const Tensor each = at("loss");  // [N]
  const Tensor flow = at("by_chosen") * (p.chosen.logp - p.chosen.logp.detach()) +
                      at("by_rejected") * (p.rejected.logp - p.rejected.logp.detach());  // [N] zeros
  return {each, (each * share).sum() + flow.sum()};
}

Loss PreferenceObjective::loss(const Pairs& p, const NamedTensors& prepared, int64_t slot) const {
  const auto [each, sum] = each_and_sum(p, prepared, slot);
  const Tensor share = p.share.to(each.device(), at::kDouble, /*non_blocking=*/true);
  Loss loss;
  loss.terms.push_back({loss_.name(), sum, "groups", 1.0});

  const c10::NoGradGuard detached;
  const double n = p.share.sum().item<double>();
  const Tensor chosen = loss_.reward(p.chosen);      // [N]
  const Tensor rejected = loss_.reward(p.rejected);  // [N]
  const auto add = [&](const char* name, const Tensor& values) {
    loss.metrics.add(name, (values * share).sum(), n);
  };
  add("loss", each);
  add("rewards/chosen", chosen);
  add("rewards/rejected", rejected);
  add("rewards/margins", chosen - rejected);
  add("rewards/accuracies", wins(chosen - rejected));
  add("logps/chosen", p.chosen.logp);
  add("logps/rejected", p.rejected.logp);
  if (loss_.needs_reference() && reference_.is_start && at_start_) {
    const Tensor gap = at::maximum(p.chosen.ratio().abs(), p.rejected.ratio().abs()).max();
    loss.identities.push_back(starts_at_reference(gap, reference_));
  }
  return loss;
}

}  // namespace prefer
