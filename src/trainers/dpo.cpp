// Composes data, policy, reference, loss and the loop into a DPO run.
#include "prefer/trainers/dpo.hpp"

#include "prefer/core/error.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/trainers/progress.hpp"

namespace prefer {

void DpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded", path());
  PairsConfig::describe(f);
  f("reference_logprobs", reference_logprobs,
    "run the reference in every step, or once and keep its log-probs on disk", one_of({"live", "cached"}));
  f.group("loss", loss);
  f.group("kl", kl);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void DpoConfig::check() const {
  RunConfig::check(eval.has_value());
  PairsConfig::check();
  samples.check();
  if (loss.needs_reference()) return;
  if (reference)
    fail("reference=", *reference, " would not be read: loss.name=", loss.name(), " has no reference");
  if (reference_logprobs == "cached")
    fail("reference_logprobs=cached would do nothing: loss.name=", loss.name(), " has no reference");
}

DpoTrainer::DpoTrainer(DpoConfig config, Process& process)
    : config_(std::move(config)),
      run_(config_, process),
      spans_(load_tokenizer(process.fs(), config_.model), config_.chat_template) {
  check_config(config_);
  const PairData data = load_pairs(config_, spans_, config_.bad_records(), process);
  if (data.eval) eval_ = run_.source("eval", *config_.eval, as_dataset(*data.eval), true);
  train_ = run_.source("train", config_.train, as_dataset(data.train), false);
  policy_ = run_.model("model", config_.model);
  samples_ = make_samples(config_.samples, policy_->config(), run_, spans_, config_.length.specials_in_text);
  const std::string reference = config_.reference.value_or(config_.model);
  if (config_.loss.needs_reference())
    reference_ = run_.reference(config_.reference, *policy_, config_.model, spans_.tokenizer());
  for (const auto& [model, name] : {std::pair(policy_, config_.model), std::pair(reference_, reference)}) {
    if (!model) continue;
    check_fits(*train_, config_.train, model->config(), name);
    if (eval_) check_fits(*eval_, *config_.eval, model->config(), name);
  }
  run_.trains(*policy_, config_.model);
  config_.resolve(train_->size());
  objective_ = std::make_unique<PreferenceObjective>(
      policy_, config_.loss,
      ReferenceSource{keeps_reference() ? nullptr : reference_, run_.starts_at_reference(),
                      run_.reference_bound(*policy_, train_->longest())});
}

bool DpoTrainer::keeps_reference() const { return config_.reference_logprobs == "cached" && reference_; }

void DpoTrainer::use_reference(RecordSource& source) {
  const std::string how = config_.dtype + " " + c10::DeviceTypeName(run_.process().device().type(), true) +
                          " " + gemm_routes().name();
  const std::string key = reference_key(source.records(), run_.input("reference"), how);
  run_.team().first_then_others([&] {
    source.attach("reference", cached_reference(run_.process().fs(), run_.path("reference"), key, [&] {
                    ProgressLine progress("reference log-probs", source.size());
                    return score_records(*reference_, source, [&](int64_t done, int64_t) { progress(done); });
                  }));
  });
}

void DpoTrainer::train(Hooks hooks) {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  if (eval_ && reference_) use_reference(*eval_);  // measured more than once, and always the same
  if (keeps_reference()) {
    use_reference(*train_);
    reference_.reset();
  }
  run_.say_memory(training, *train_, policy_->config(), reference_ != nullptr);
  if (eval_) {
    held_out_.emplace(*eval_, *objective_, *policy_, reference_, config_.kl,
                      static_cast<uint64_t>(config_.seed), run_.team());
    if (reference_ && config_.kl.prompts > 0 && held_out_->kl_prompts() == 0)
      run_.process().say("kl.max_new_tokens=" + std::to_string(config_.kl.max_new_tokens) +
                         " leaves no held-out prompt room in the context: there is no eval_kl");
    run_.evaluates(hooks, [this] { return held_out_->measure(); });
  }
  if (samples_) hooks.push_back(samples_->hook(*policy_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  if (held_out_) held_out_->measure_once();
  run_.team().on_first([&] { finish(result); });
}

void DpoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = config_.loss.name() + " on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " pairs.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (held_out_) {
    report().figures = held_out_->figures(run_.starts_at_reference(), static_cast<uint64_t>(config_.seed));
  }
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
