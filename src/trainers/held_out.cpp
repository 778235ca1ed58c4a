// One pass gives metrics and, pair by pair, what the figures are made of.
#include "prefer/trainers/held_out.hpp"

#include "prefer/rollout/answer_kl.hpp"
#include "prefer/trainers/progress.hpp"

#include <cmath>

namespace prefer {
namespace {

void append(std::vector<double>& values, const Tensor& more) {
  const Tensor here = more.to(at::kCPU, at::kDouble).contiguous();
  values.insert(values.end(), here.const_data_ptr<double>(), here.const_data_ptr<double>() + here.numel());
}

/// The prompts of the first records that leave an answer room.
std::vector<Prompt> prompts_of(const std::vector<Record>& records, int64_t count, int64_t context) {
  std::vector<Prompt> prompts;
  for (std::size_t i = 0; i < records.size() && static_cast<int64_t>(prompts.size()) < count; ++i) {
    const Sequence& chosen = records[i].front();
    const int64_t length = chosen.scored.front().begin;
    if (length < context) prompts.push_back({{chosen.tokens.begin(), chosen.tokens.begin() + length}, i});
  }
  return prompts;
}

}  // namespace

void KlConfig::describe(Fields& f) {
  f("prompts", prompts,
    "held-out prompts that the policy answers to estimate its KL from the reference; 0: none",
    non_negative());
  f("max_new_tokens", max_new_tokens, "length of such an answer", at_least(1));
}

HeldOut::HeldOut(RecordSource& pairs, PreferenceObjective& objective, const Transformer& policy,
                 std::shared_ptr<const Transformer> reference, const KlConfig& kl)
    : pairs_(pairs),
      objective_(objective),
      policy_(policy),
      reference_(std::move(reference)),
      max_new_tokens_(kl.max_new_tokens) {
  if (reference_) prompts_ = prompts_of(pairs_.records(), kl.prompts, policy_.config().context);
}

void HeldOut::add_scores(const Pairs& pairs) {
  append(scores_.margin, objective_.reward(pairs.chosen) - objective_.reward(pairs.rejected));
  append(scores_.length, pairs.chosen.length - pairs.rejected.length);
  if (!pairs.chosen.reference.defined()) return;
  append(scores_.reference, pairs.chosen.reference - pairs.rejected.reference);
  append(scores_.reference_mean,
         pairs.chosen.reference / pairs.chosen.length - pairs.rejected.reference / pairs.rejected.length);
}

Metrics HeldOut::measure() {
  const c10::NoGradGuard frozen;
  ProgressLine progress("held-out pairs", pairs_.size());
  Metrics metrics;
  scores_ = {};
  const Plan plan = pairs_.plan(1);
  Alone team;
  const NamedTensors prepared = objective_.prepare(plan, pairs_, team);
  for (const Slot& slot : plan.slots) {
    const Pairs pairs = objective_.pairs(pairs_.batch(1, slot));
    metrics.merge(objective_.loss(pairs, prepared, slot.index).metrics, "eval_");
    add_scores(pairs);
    progress(static_cast<int64_t>(scores_.margin.size()));
  }
  if (!prompts_.empty()) {
    kl_ = answer_kl(policy_, *reference_, prompts_, max_new_tokens_, 0);
    metrics.add("eval_kl", tensor_of(kl_, at::kDouble).sum(), static_cast<double>(kl_.size()));
  }
  return metrics;
}

std::vector<Figure> HeldOut::figures(bool starts_level, uint64_t seed) {
  if (scores_.margin.empty()) measure();
  std::vector<Figure> figures = pair_figures(scores_, starts_level, seed);
  if (!kl_.empty()) {
    figures.push_back({"KL from the reference, nats an answer",
                       starts_level ? Interval{} : Interval{NAN, NAN, NAN}, bootstrap_mean(kl_, seed),
                       "exact at each token of the policy's own answers to " + std::to_string(kl_.size()) +
                           " held-out prompts, up to " + std::to_string(max_new_tokens_) + " tokens"});
  }
  return figures;
}

}  // namespace prefer
