// One forward of policy and values, and what is said of it.
#include "prefer/objectives/ppo.hpp"

#include "prefer/objectives/logprob.hpp"
#include "prefer/ops/embedding.hpp"
#include "prefer/ops/linear_logprob.hpp"

namespace prefer {
namespace {

constexpr const char* kRatio = "ratio";  // among what is prepared
constexpr const char* kStartGap = "start_gap";
constexpr const char* kMetric = "metric.";

/// The minibatch as the losses see it, a number a token. [M]
struct Tokens {
  Tensor log_ratio, advantage, entropy, value, old_value, returns;
};

/// By how much an answer's log-prob is not what it was at sampling: the most of all. Where bits are promised
/// no difference may hide another.
double ratio_gap(const Tokens& t, const Batch& batch, double bound) {
  const Tensor off = t.log_ratio.detach();
  return by_sequence(bound == 0 ? off.abs() : off, batch).abs().max().item<double>();
}

void add_metrics(const Tokens& t, const PpoLoss& loss, Metrics& metrics) {
  const c10::NoGradGuard detached;
  const auto count = static_cast<double>(t.log_ratio.size(0));
  const auto add = [&](const char* name, const Tensor& each) {
    metrics.add(name, each.to(at::kDouble).sum(), count);
  };
  const Tensor ratio = t.log_ratio.exp();  // [M]
  add("policy/approxkl_avg", 0.5 * t.log_ratio * t.log_ratio);
  add("policy/clipfrac_avg", loss.policy.is_clipped(t.log_ratio, t.advantage));
  add("policy/entropy_avg", t.entropy);
  add("loss/policy_avg", loss.policy(t.log_ratio, t.advantage));
  add("loss/value_avg", loss.value(t.value, t.old_value, t.returns));
  add("val/clipfrac_avg", loss.value.is_clipped(t.value, t.old_value, t.returns));
  add("val/ratio", ratio);
  add("val/ratio_var", (ratio - 1) * (ratio - 1));
}

}  // namespace

PpoObjective::PpoObjective(std::shared_ptr<Model> policy, std::shared_ptr<ValueModel> value,
                           const PpoSettings& settings, const Iteration& iteration, KlController& controller)
    : policy_(std::move(policy)),
      value_(std::move(value)),
      settings_(settings),
      iteration_(iteration),
      controller_(controller) {}

std::vector<ParameterGroup> PpoObjective::parameters() const {
  return {{"policy", policy_->parameters(), 1.0},
          {"value", value_->parameters(), settings_.value_rate_scale}};
}

NamedTensors PpoObjective::prepare(const Plan&, Source&, Team&) {
  const auto number = [](double value) { return at::full({}, value, at::kDouble); };
  NamedTensors prepared;
  for (const auto& [name, value] : iteration_.metrics) prepared[kMetric + name] = number(value);
  if (learnt_in_ == iteration_.index)
    return prepared;  // what follows holds before an iteration's first update
  prepared[kRatio] = number(1);
  if (settings_.starts_at_reference)
    prepared[kStartGap] = number(settings_.bound == 0 ? iteration_.gap_of_tokens : iteration_.gap);
  return prepared;
}

Loss PpoObjective::operator()(const Batch& batch, const NamedTensors& prepared) {
  const Tensor hidden = policy_->hidden(batch);  // [T, D]
  const Logprobs now = linear_logprob(embed(hidden, batch.row), policy_->head(), batch.label,
                                      {.temperature = settings_.temperature, .entropy = true});  // [M]
  const Tensor value =
      value_->values(batch, [&] { return hidden; });  // [P] = [M], as every scored token is read
  const Tensor old_logp = batch.column("old_logp");
  const PpoLoss& losses = settings_.loss;
  const Tokens t{now.logp - old_logp,   batch.column("advantage"), now.entropy, value,
                 batch.column("value"), batch.column("returns")};
  Loss loss;
  const auto term = [&](const char* name, const Tensor& each, double weight) {
    loss.terms.push_back({name, each.to(at::kDouble).sum(), "completion_tokens", weight});
  };
  term("policy", losses.policy(t.log_ratio, t.advantage), 1);
  term("value", losses.value(t.value, t.old_value, t.returns), losses.vf_coef);
  if (losses.entropy_coef > 0) term("entropy", -t.entropy, losses.entropy_coef);
  add_metrics(t, losses, loss.metrics);
  for (const auto& [name, figure] : prepared) {
    if (name.starts_with(kMetric))
      loss.metrics.add(name.substr(std::string(kMetric).size()), figure.to(hidden.device()), 1);
  }
  const double bound = settings_.bound;
  if (prepared.contains(kRatio)) {
    loss.identities.push_back(
        {"ratio is 1 before the first update (largest gap of an answer's log-prob, in nats)",
         ratio_gap(t, batch, bound), 0, bound, /*every_iteration=*/true});
  }
  if (prepared.contains(kStartGap)) {
    loss.identities.push_back({"policy equals reference (largest gap of an answer's log-prob, in nats)",
                               prepared.at(kStartGap).item<double>(), 0, bound});
  }
  return loss;
}

void PpoObjective::passed(int64_t step) {
  learnt_in_ = iteration_.index;
  controller_.update((step - 1) / iteration_.steps, iteration_.kl, iteration_.episodes);
}

}  // namespace prefer
