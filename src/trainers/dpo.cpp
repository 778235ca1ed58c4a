// Composes data, policy, reference, loss and the loop into a DPO run.
#include "prefer/trainers/dpo.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/measure.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/trainers/progress.hpp"

#include <cmath>

namespace prefer {

void DpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded");
  f("train", train, "pairs: .jsonl, .jsonl.gz or a JSON array", required());
  f("eval", eval, "held-out pairs, or null");
  f("reference_logprobs", reference_logprobs,
    "run the reference in every step, or once and keep its log-probs on disk", one_of({"live", "cached"}));
  f.group("loss", loss);
  length.describe(f);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void DpoConfig::check() const {
  RunConfig::check(eval.has_value());
  samples.check();
  if (loss.needs_reference()) return;
  if (reference)
    fail("reference=", *reference, " would not be read: loss.name=", loss.name(), " has no reference");
  if (reference_logprobs == "cached")
    fail("reference_logprobs=cached would do nothing: loss.name=", loss.name(), " has no reference");
}

DpoTrainer::DpoTrainer(DpoConfig config, Process& process)
    : config_(std::move(config)), run_(config_, process), spans_(load_tokenizer(config_.model)) {
  config_.check();
  train_ = source("train", config_.train);
  if (config_.eval) eval_ = source("eval", *config_.eval);
  if (config_.samples.prompts) {
    samples_.emplace(config_.samples, process.fs(), run_.path("samples"), spans_);
    run_.reads("samples.prompts", samples_->fingerprint());
  }
  policy_ = run_.model("model", config_.model);
  const std::string reference = config_.reference.value_or(config_.model);
  if (config_.loss.needs_reference()) reference_ = run_.model("reference", reference);
  for (const auto& [model, name] : {std::pair(policy_, config_.model), std::pair(reference_, reference)}) {
    if (!model) continue;
    check_fits(*train_, config_.train, model->config(), name);
    if (eval_) check_fits(*eval_, *config_.eval, model->config(), name);
  }
  policy_->train();
  policy_->checkpoint_activations(config_.activation_checkpointing);
  process.say(config_.model + ": " + short_number(static_cast<double>(policy_->parameter_count()) / 1e6) +
              " million parameters, " + config_.dtype);
  config_.resolve(train_->size());
  objective_ = std::make_unique<PreferenceObjective>(
      policy_, config_.loss,
      ReferenceSource{keeps_reference() ? nullptr : reference_, !config_.reference,
                      process.sum_bound(policy_->dtype())});
}

std::unique_ptr<RecordSource> DpoTrainer::source(const std::string& what, const std::string& path) {
  const OnBad on_bad = config_.on_bad == "skip" ? OnBad::skip : OnBad::stop;
  const PreferenceData data = load_preferences(run_.process().fs(), path, spans_, config_.length, on_bad);
  check_trainable(data, config_.length, path);
  return run_.source(what, path, as_dataset(data), what == "eval");
}

bool DpoTrainer::keeps_reference() const { return config_.reference_logprobs == "cached" && reference_; }

void DpoTrainer::use_reference(RecordSource& source) {
  const std::string how = config_.dtype + " " + run_.process().device().str() + " " + gemm_routes().name();
  const std::string key = reference_key(source.records(), reference_->weights(), how);
  source.attach("reference", cached_reference(run_.process().fs(), run_.path("reference"), key, [&] {
                  ProgressLine progress("reference log-probs", source.size());
                  return score_records(*reference_, source, [&](int64_t done, int64_t) { progress(done); });
                }));
}

bool DpoTrainer::train() {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  if (keeps_reference()) {
    use_reference(*train_);
    if (eval_) use_reference(*eval_);
    reference_.reset();
  }
  run_.say_memory(training, *train_, policy_->config(), reference_ ? 2 : 1);
  if (samples_ && training.step == 0) samples_->write(0, *policy_);
  Hooks hooks;
  if (eval_) hooks.push_back(run_.evaluation([this] { return measure(*objective_, *eval_, "eval_"); }));
  if (samples_) hooks.push_back(samples_->hook(*policy_));
  const FitResult result = run_.fit(training, hooks);
  if (!result.stopped) finish(result);
  return !result.stopped;
}

void DpoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = config_.loss.name() + " on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " pairs.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (eval_) report().figures = held_out_figures();
  run_.finish(result, *policy_, config_.model);
}

std::vector<Figure> DpoTrainer::held_out_figures() const {
  const c10::NoGradGuard frozen;
  std::vector<double> wins, margins;
  for (const Slot& slot : eval_->plan(1).slots) {
    const Pairs pairs = objective_->pairs(eval_->batch(1, slot));
    const Tensor margin =
        (config_.loss.reward(pairs.chosen) - config_.loss.reward(pairs.rejected)).to(at::kCPU);  // [N]
    for (int64_t i = 0; i < margin.size(0); ++i) {
      margins.push_back(margin[i].item<double>());
      wins.push_back(margins.back() > 0 ? 1 : margins.back() == 0 ? 0.5 : 0);
    }
  }
  const auto seed = static_cast<uint64_t>(config_.seed);
  const bool even =
      config_.loss.needs_reference() && !config_.reference;  // before, policy and reference are one
  const Interval unknown{NAN, NAN, NAN};
  const std::string note = std::to_string(margins.size()) + " held-out pairs";
  return {{"accuracy of the implied reward", even ? Interval{0.5, 0.5, 0.5} : unknown,
           bootstrap_mean(wins, seed), note},
          {"margin of the implied reward", even ? Interval{} : unknown, bootstrap_mean(margins, seed), note}};
}

}  // namespace prefer
