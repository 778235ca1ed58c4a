// Composes data, policy, reference, loss and the loop into a DPO run.
#include "prefer/trainers/dpo.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/trainers/progress.hpp"

namespace prefer {

void DpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded");
  f("train", train, "pairs: .jsonl, .jsonl.gz or a JSON array", required());
  f("eval", eval, "held-out pairs, or null");
  f("drop_overlap", drop_overlap,
    "leave out training pairs whose prompt is in `eval` too; false counts and says them");
  f("reference_logprobs", reference_logprobs,
    "run the reference in every step, or once and keep its log-probs on disk", one_of({"live", "cached"}));
  f.group("loss", loss);
  length.describe(f);
  f.group("kl", kl);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void DpoConfig::check() const {
  RunConfig::check(eval.has_value());
  if (drop_overlap && !eval) fail("drop_overlap=true wants held-out pairs, and eval is null");
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
  PreferenceData train = load(config_.train);
  if (config_.eval) {
    const PreferenceData eval = load(*config_.eval);
    check_overlap(train, eval);
    eval_ = run_.source("eval", *config_.eval, as_dataset(eval), true);
  }
  check_trainable(train, config_.length, config_.train);
  train_ = run_.source("train", config_.train, as_dataset(train), false);
  if (config_.samples.prompts) {
    samples_.emplace(config_.samples, process.fs(), run_.path("samples"), spans_);
    run_.reads("samples.prompts", samples_->fingerprint());
  }
  policy_ = run_.model("model", config_.model);
  const std::string reference = config_.reference.value_or(config_.model);
  if (config_.loss.needs_reference() && config_.reference) {
    reference_ = run_.model("reference", reference)->frozen();
  } else if (config_.loss.needs_reference()) {
    reference_ = policy_->frozen();
    run_.reads("reference", run_.input("model"));
  }
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

PreferenceData DpoTrainer::load(const std::string& path) const {
  const OnBad on_bad = config_.on_bad == "skip" ? OnBad::skip : OnBad::stop;
  PreferenceData data = load_preferences(run_.process().fs(), path, spans_, config_.length, on_bad);
  check_trainable(data, config_.length, path);
  return data;
}

void DpoTrainer::check_overlap(PreferenceData& train, const PreferenceData& eval) const {
  const std::vector<std::size_t> shared = shared_prompts(train.pairs, eval.pairs);
  const char* then = shared.empty() ? ""
                     : config_.drop_overlap
                         ? ": left out"
                         : "; drop_overlap=true leaves them out, which makes held-out figures honest";
  run_.process().say(std::to_string(shared.size()) + " of " + std::to_string(train.pairs.size()) +
                     " training pairs have a prompt that eval has too" + then);
  if (config_.drop_overlap) leave_out(train, shared, "prompt is in eval too");
}

bool DpoTrainer::keeps_reference() const { return config_.reference_logprobs == "cached" && reference_; }

void DpoTrainer::use_reference(RecordSource& source) {
  const std::string how = config_.dtype + " " + run_.process().device().str() + " " + gemm_routes().name();
  const std::string key = reference_key(source.records(), run_.input("reference"), how);
  source.attach("reference", cached_reference(run_.process().fs(), run_.path("reference"), key, [&] {
                  ProgressLine progress("reference log-probs", source.size());
                  return score_records(*reference_, source, [&](int64_t done, int64_t) { progress(done); });
                }));
}

void DpoTrainer::train() {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  if (eval_ && reference_) use_reference(*eval_);  // measured more than once, and always the same
  if (keeps_reference()) {
    use_reference(*train_);
    reference_.reset();
  }
  run_.say_memory(training, *train_, policy_->config(), reference_ != nullptr);
  if (samples_ && training.step == 0) samples_->write(0, *policy_);
  Hooks hooks;
  if (eval_) {
    held_out_.emplace(*eval_, *objective_, *policy_, reference_, config_.kl);
    hooks.push_back(run_.evaluation([this] { return held_out_->measure(); }));
  }
  if (samples_) hooks.push_back(samples_->hook(*policy_));
  finish(run_.fit(training, hooks));
}

void DpoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = config_.loss.name() + " on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " pairs.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (held_out_) {
    const bool starts_level = config_.loss.needs_reference() && !config_.reference;
    report().figures = held_out_->figures(starts_level, static_cast<uint64_t>(config_.seed));
    for (const Figure& figure : report().figures)
      run_.process().say(figure.name + ": " + figure.after.text());
  }
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
