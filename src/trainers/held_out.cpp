// One pass gives metrics and, pair by pair, what the figures are made of.
#include "prefer/trainers/held_out.hpp"

#include "prefer/rollout/answer_kl.hpp"
#include "prefer/train/parts.hpp"
#include "prefer/trainers/progress.hpp"

#include <algorithm>
#include <cmath>
#include <map>

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

/// A column of [N, columns]; empty where there are fewer.
std::vector<double> column(const Tensor& table, int64_t which) {
  if (which >= table.size(1)) return {};
  const Tensor values = table.select(1, which).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
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
                 std::shared_ptr<const Transformer> reference, const KlConfig& kl, Team& team)
    : pairs_(pairs),
      objective_(objective),
      policy_(policy),
      reference_(std::move(reference)),
      team_(team),
      max_new_tokens_(kl.max_new_tokens) {
  if (reference_) prompts_ = prompts_of(pairs_.records(), kl.prompts, policy_.config().context);
}

Metrics HeldOut::measure() {
  const c10::NoGradGuard frozen;
  const Plan plan = pairs_.plan(1);
  const NamedTensors prepared = objective_.prepare(plan, pairs_, team_);
  const std::vector<int64_t> tokens = tokens_of(plan.slots);
  std::vector<int64_t> begins = {0};  // the first pair of each slot
  for (const Slot& slot : plan.slots)
    begins.push_back(begins.back() + static_cast<int64_t>(slot.records.size()));
  std::map<int64_t, Metrics> metrics;  // by slot
  std::map<int64_t, Tensor> scores;    // by pair, [columns]
  int64_t done = 0, columns = 0;
  std::optional<ProgressLine> progress;
  if (team_.first()) progress.emplace("held-out pairs", pairs_.size());
  const std::vector<int64_t> mine = team_.mine(tokens);
  int64_t share = 0;  // of the tokens
  for (const int64_t i : mine) share += tokens[i];
  for (const int64_t i : mine) {
    const Pairs pairs = objective_.pairs(pairs_.batch(1, plan.slots[i]));
    metrics[i].merge(objective_.loss(pairs, prepared, plan.slots[i].index).metrics, "eval_");
    const Tensor table = scores_of(pairs, objective_).to(at::kCPU);  // [N, columns]
    for (int64_t n = 0; n < table.size(0); ++n) scores[begins[i] + n] = table[n];
    columns = table.size(1);
    done += tokens[i];
    if (progress) (*progress)(pairs_.size() * done / share);
  }
  columns = static_cast<int64_t>(std::ranges::max(team_.gather(static_cast<double>(columns))));
  const Tensor table = gathered(scores, pairs_.size(), columns, team_);  // [N, columns]
  scores_ = {column(table, 0), column(table, 1), column(table, 2), column(table, 3)};
  Metrics result = merged(metrics, static_cast<int64_t>(plan.slots.size()), team_);
  if (!prompts_.empty()) {
    kl_ = measure_kl();
    result.add("eval_kl", tensor_of(kl_, at::kDouble).sum(), static_cast<double>(kl_.size()));
  }
  return result;
}

void HeldOut::measure_once() {
  if (scores_.margin.empty()) measure();
}

/// Of every prompt; each rank lets the policy answer every size-th of them.
std::vector<double> HeldOut::measure_kl() {
  std::vector<Prompt> mine;
  for (std::size_t i = static_cast<std::size_t>(team_.rank()); i < prompts_.size();
       i += static_cast<std::size_t>(team_.size()))
    mine.push_back(prompts_[i]);
  std::vector<double> kl;
  if (!mine.empty()) kl = answer_kl(policy_, *reference_, mine, max_new_tokens_, 0);
  std::map<int64_t, Tensor> by_prompt;
  for (std::size_t i = 0; i < kl.size(); ++i)
    by_prompt[static_cast<int64_t>(i) * team_.size() + team_.rank()] = at::full({1}, kl[i], at::kDouble);
  return column(gathered(by_prompt, static_cast<int64_t>(prompts_.size()), 1, team_), 0);
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
