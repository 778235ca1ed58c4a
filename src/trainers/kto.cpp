// Composes judged answers, policy, reference, objective and the loop into a KTO run.
#include "prefer/trainers/kto.hpp"

#include "prefer/core/error.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/measure.hpp"

namespace prefer {

void KtoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded");
  f("train", train, "judged answers: .jsonl, .jsonl.gz or a JSON array of {prompt, completion, label}",
    required());
  f("eval", eval, "held-out answers, or null");
  f.group("loss", loss);
  length.describe(f);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void KtoConfig::check() const {
  RunConfig::check(eval.has_value());
  samples.check();
}

std::unique_ptr<MismatchedSource> KtoTrainer::source(const char* what, const std::string& path,
                                                     bool held_out) {
  const SupervisedOptions options{.loss_on = "completion", .length = config_.length};
  Dataset data = load_demonstrations(run_.process().fs(), path, spans_, options, config_.bad_records(),
                                     [](const Json& record, Sequence& answer) {
                                       answer.grade = {record.at("label").as_bool() ? 1.0F : 0.0F};
                                     });
  return std::make_unique<MismatchedSource>(run_.source(what, path, std::move(data), held_out));
}

KtoTrainer::KtoTrainer(KtoConfig config, Process& process)
    : config_(std::move(config)), run_(config_, process), spans_(load_tokenizer(config_.model)) {
  config_.check();
  if (config_.eval) eval_ = source("eval", *config_.eval, true);
  train_ = source("train", config_.train, false);
  samples_ = make_samples(config_.samples, run_, spans_);
  policy_ = run_.model("model", config_.model);
  const auto reference =
      config_.reference ? run_.model("reference", *config_.reference)->frozen() : policy_->frozen();
  if (!config_.reference) run_.reads("reference", run_.input("model"));
  check_fits(train_->records(), config_.train, policy_->config(), config_.model);
  if (eval_) check_fits(eval_->records(), *config_.eval, policy_->config(), config_.model);
  run_.trains(*policy_, config_.model);
  config_.resolve(train_->records().size());
  objective_ = std::make_unique<KtoObjective>(
      policy_, config_.loss,
      ReferenceSource{reference, !config_.reference, process.sum_bound(policy_->dtype())});
}

void KtoTrainer::train() {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  run_.say_memory(training, train_->records(), policy_->config(), true);
  Hooks hooks;
  if (eval_) hooks.push_back(run_.evaluation([this] { return measure(*objective_, *eval_, "eval_"); }));
  if (samples_) hooks.push_back(samples_->hook(*policy_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  run_.team().on_first([&] { finish(result); });
}

void KtoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = "KTO on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " answers.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
