// Composes pairs, reward model, loss and the loop into a run of reward modelling.
#include "prefer/trainers/reward.hpp"

#include "prefer/core/error.hpp"
#include "prefer/model/load.hpp"
#include "prefer/trainers/progress.hpp"

#include <cmath>

namespace prefer {
namespace {

/// Leaves out pairs that say no margin, or throws at the first.
void want_margins(PreferenceData& data, OnBad on_bad) {
  std::vector<std::size_t> without;
  for (std::size_t i = 0; i < data.pairs.size(); ++i) {
    if (!std::isnan(data.pairs[i].margin)) continue;
    if (on_bad == OnBad::stop)
      throw BadRecord(data.pairs[i].place,
                      "loss.use_margin=true wants a \"margin\", and the record has none");
    without.push_back(i);
  }
  leave_out(data, without, "there is no margin");
}

/// What is known of held-out pairs before they are scored.
std::vector<JudgedPair> unjudged(const PreferenceData& data) {
  std::vector<JudgedPair> pairs;
  for (const TokenisedPair& pair : data.pairs) {
    pairs.push_back({.chosen_tokens = static_cast<double>(pair.chosen.completion.size()),
                     .rejected_tokens = static_cast<double>(pair.rejected.completion.size()),
                     .question = pair.asked,
                     .subset = pair.subset});
  }
  return pairs;
}

}  // namespace

void RewardConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained: a language model, or a reward model",
    required());
  PairsConfig::describe(f);
  f.group("loss", loss);
  RunConfig::describe(f);
}

void RewardConfig::check() const {
  RunConfig::check(eval.has_value());
  PairsConfig::check();
}

RewardTrainer::RewardTrainer(RewardConfig config, Process& process)
    : config_(std::move(config)), run_(config_, process), spans_(load_tokenizer(config_.model)) {
  config_.check();
  PairData data = load_pairs(config_, spans_, config_.bad_records(), process);
  if (config_.loss.use_margin) {
    want_margins(data.train, config_.bad_records());
    if (data.eval) want_margins(*data.eval, config_.bad_records());
  }
  model_ = run_.reward_model("model", config_.model, spans_.tokenizer().pad());
  if (data.eval) {
    eval_ = source("eval", *config_.eval, *data.eval, true);
    judged_ = unjudged(*data.eval);
  }
  train_ = source("train", config_.train, data.train, false);
  run_.trains(model_->transformer(), config_.model);
  config_.resolve(train_->size());
  objective_ = std::make_unique<RewardObjective>(model_, config_.loss);
}

/// Pairs that are read at the ends of their answers, and scored nowhere.
std::unique_ptr<RecordSource> RewardTrainer::source(const std::string& what, const std::string& path,
                                                    const PreferenceData& data, bool held_out) {
  check_trainable(data, config_.length, path);
  Dataset pairs = as_dataset(data);
  for (Record& pair : pairs.records) {
    for (Sequence& side : pair) {
      side.scored.clear();
      side.reads = {{model_->end_of(side.tokens)}};
    }
  }
  auto made = run_.source(what, path, std::move(pairs), held_out);
  check_fits(*made, path, model_->config(), config_.model);
  return made;
}

Metrics RewardTrainer::measure() {
  const c10::NoGradGuard frozen;
  ProgressLine progress("held-out pairs", eval_->size());
  Metrics metrics;
  int64_t done = 0;
  for (const Slot& slot : eval_->plan(1).slots) {
    const ScoredPairs pairs = objective_->pairs(eval_->batch(1, slot));
    metrics.merge(objective_->loss(pairs).metrics, "eval_");
    const Tensor chosen = pairs.chosen.to(at::kCPU), rejected = pairs.rejected.to(at::kCPU);
    for (std::size_t i = 0; i < slot.records.size(); ++i) {
      JudgedPair& pair = judged_[static_cast<std::size_t>(slot.records[i])];
      pair.chosen = chosen.const_data_ptr<double>()[i];
      pair.rejected = rejected.const_data_ptr<double>()[i];
    }
    progress(done += static_cast<int64_t>(slot.records.size()));
  }
  return metrics;
}

std::vector<Figure> RewardTrainer::figures() {
  return reward_figures(judged_, static_cast<uint64_t>(config_.seed));
}

void RewardTrainer::train() {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  run_.say_memory(training, *train_, model_->config(), false);
  Hooks hooks;
  if (eval_) {
    if (training.step == 0 || training.step == config_.fit.steps) measure();
    if (training.step == 0) before_ = figures();
    hooks.push_back(run_.evaluation([this] { return measure(); }));
  }
  const FitResult result = run_.fit(training, hooks);
  run_.team().on_first([&] { finish(result); });
}

void RewardTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), model_->transformer(), spans_.tokenizer().files());
  report().title = "Reward model on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " pairs.";
  if (eval_) {
    report().figures = with_before(figures(), before_);
    report().plots = {calibration_plot(judged_)};
  }
  run_.finish(result, model_->transformer(), config_.model);
}

}  // namespace prefer
