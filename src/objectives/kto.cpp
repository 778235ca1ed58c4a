// Estimates the KL of a step, then takes the loss of each slot.
#include "prefer/objectives/kto.hpp"

#include "prefer/core/error.hpp"

namespace prefer {

KtoObjective::KtoObjective(std::shared_ptr<Model> policy, Kto loss, ReferenceSource reference)
    : policy_(std::move(policy)), loss_(loss), reference_(std::move(reference)) {
  check_apart(*policy_, reference_);
  check_fields(loss_);
}

std::vector<ParameterGroup> KtoObjective::parameters() const {
  return {{"policy", policy_->parameters(), 1.0}};
}

SequenceSums KtoObjective::sums(const Batch& batch) const {
  return sequence_sums(*policy_, reference_, batch, true, Kto::name);
}

NamedTensors KtoObjective::prepare(const Plan& plan, Source& source, Team& team) {
  const c10::NoGradGuard frozen;
  // Of each slot the sums of ratios and of answers, weighted: added up in the order of the slots, whoever ran
  // which. [slots, 2]
  std::vector<Tensor> table = {at::zeros({static_cast<int64_t>(plan.statistics.size()), 2}, at::kDouble)};
  for (const int64_t mine : team.mine(tokens_of(plan.statistics))) {
    const Batch batch = source.batch(plan.step, plan.statistics[mine]);
    const SequenceSums s = sums(batch);
    const Tensor share = batch.share.to(at::kDouble);  // [S]
    table[0][mine].copy_(at::stack({((s.logp - s.reference).to(at::kCPU) * share).sum(), share.sum()}));
  }
  team.reduce(table);
  const Tensor total = table[0].sum(0);  // [2]
  if (total[1].item<double>() == 0) fail("KTO wants a step with mismatched answers, and its plan has none");
  return {{"kl", total[0] / total[1]}};
}

Judged KtoObjective::judged(const Batch& batch, const NamedTensors& prepared) const {
  const SequenceSums s = sums(batch);
  const auto device = s.logp.device();
  return {s.logp, s.reference, batch.grade.select(1, 0).to(device, at::kDouble), batch.share.to(at::kDouble),
          prepared.at("kl").to(device)};
}

Loss KtoObjective::operator()(const Batch& batch, const NamedTensors& prepared) {
  return loss(judged(batch, prepared));
}

Loss KtoObjective::loss(const Judged& judged) const {
  const Tensor& desirable = judged.desirable;
  const Tensor share = judged.share.to(judged.logp.device());  // [S]
  const Tensor each = loss_(judged);                           // [S]
  Loss loss;
  loss.terms.push_back({Kto::name, (each * share).sum(), "sequences", 1.0});

  const c10::NoGradGuard detached;
  const Tensor reward = this->reward(judged);  // [S]
  for (const auto& [side, of] : {std::pair("chosen", desirable), std::pair("rejected", 1 - desirable)}) {
    const double n = (of * share).sum().item<double>();
    if (n == 0) continue;
    loss.metrics.add(std::string("rewards/") + side, (reward * of * share).sum(), n);
    loss.metrics.add(std::string("logps/") + side, (judged.logp * of * share).sum(), n);
  }
  const double n = share.sum().item<double>();
  loss.metrics.add("loss", (each * share).sum(), n);
  loss.metrics.add("kl", judged.kl.clamp_min(0) * n, n);
  if (reference_.is_start && at_start_)
    loss.identities.push_back(starts_at_reference(judged.ratio().abs().max(), reference_));
  return loss;
}

}  // namespace prefer
