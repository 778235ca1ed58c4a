// One pass gives metrics and, pair by pair, what the figures are made of.
#include "prefer/trainers/held_out.hpp"

#include "prefer/rollout/answer_kl.hpp"
#include "prefer/train/measure.hpp"
#include "prefer/trainers/progress.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {
namespace {

/// The columns of PairScores for the pairs of a slot, in double. [N, columns]
Tensor scores_of(const Pairs& pairs, const PreferenceObjective& objective) {
  const auto difference = [](const Tensor& a, const Tensor& b) { return (a - b).to(at::kDouble); };
  std::vector<Tensor> columns = {difference(objective.reward(pairs.chosen), objective.reward(pairs.rejected)),
                                 difference(pairs.chosen.length, pairs.rejected.length)};
  if (pairs.chosen.reference.defined()) {
    columns.push_back(difference(pairs.chosen.reference, pairs.rejected.reference));
    columns.push_back(difference(pairs.chosen.reference / pairs.chosen.length,
                                 pairs.rejected.reference / pairs.rejected.length));
  }
  return at::stack(columns, 1);
}

/// The first prompts, each once, that have no more than `most` tokens.
std::vector<Prompt> prompts_of(const std::vector<Record>& records, const std::vector<int64_t>& numbers,
                               int64_t count, int64_t most) {
  std::vector<Prompt> prompts;
  int64_t seen = 0;
  for (std::size_t i = 0; i < records.size() && static_cast<int64_t>(prompts.size()) < count; ++i) {
    if (numbers[i] < seen) continue;
    seen = numbers[i] + 1;
    const Sequence& chosen = records[i].front();
    const int64_t length = chosen.scored.front().begin;
    if (length <= most) prompts.push_back({{chosen.tokens.begin(), chosen.tokens.begin() + length}, i});
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
                 std::shared_ptr<const Transformer> reference, const KlConfig& kl, uint64_t seed, Team& team)
    : pairs_(pairs),
      objective_(objective),
      policy_(policy),
      reference_(std::move(reference)),
      team_(team),
      max_new_tokens_(kl.max_new_tokens),
      seed_(seed) {
  if (!reference_) return;
  const int64_t context = std::min(policy_.config().context, reference_->config().context);
  prompts_ = prompts_of(pairs_.records(), pairs_.prompts(), kl.prompts, context - max_new_tokens_);
}

Metrics HeldOut::measure() {
  const c10::NoGradGuard frozen;
  const Plan plan = pairs_.plan(1);
  const NamedTensors prepared = objective_.prepare(plan, pairs_, team_);
  ProgressLine progress("held-out pairs", pairs_.size(), team_);
  const Look look = [&](const Batch& batch, const Slot& slot) {
    const Pairs pairs = objective_.pairs(batch);
    Findings found{{}, scores_of(pairs, objective_)};
    found.metrics.merge(objective_.loss(pairs, prepared, slot.index).metrics, "eval_");
    return found;
  };
  Findings found = prefer::measure(plan, pairs_, team_, look, [&](int64_t done, int64_t) { progress(done); });
  scores_ = {found.column(0), found.column(1), found.column(2), found.column(3), pairs_.prompts_of(plan)};
  if (!prompts_.empty()) {
    kl_ = answer_kl(policy_, *reference_, prompts_, max_new_tokens_, seed_, team_);
    found.metrics.add("eval_kl", tensor_of(kl_, at::kDouble).sum(), static_cast<double>(kl_.size()));
  }
  return std::move(found.metrics);
}

void HeldOut::measure_once() {
  if (scores_.margin.empty()) measure();
}

std::vector<Figure> HeldOut::figures(bool starts_level, uint64_t seed) {
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
