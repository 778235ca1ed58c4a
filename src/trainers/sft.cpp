// Composes data, model, objective and the loop into a run of supervised fine-tuning.
#include "prefer/trainers/sft.hpp"

#include "prefer/eval/reward_figures.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/logprob.hpp"
#include "prefer/train/measure.hpp"
#include "prefer/trainers/progress.hpp"

#include <cmath>

namespace prefer {

void SftConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  DataConfig::describe(f, "demonstrations: .jsonl, .jsonl.gz or a JSON array",
                       "held-out demonstrations, or null");
  learn.describe(f);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void SftConfig::check() const {
  RunConfig::check(eval.has_value());
  DataConfig::check();
  samples.check();
}

SftTrainer::SftTrainer(SftConfig config, Process& process)
    : config_(std::move(config)),
      run_(config_, process),
      spans_(load_tokenizer(process.fs(), config_.model), config_.chat_template) {
  check_config(config_);
  TextData data = load_demonstrations(config_, config_.learn, spans_, config_.bad_records(), process);
  if (data.eval) eval_ = run_.source("eval", *config_.eval, as_dataset(std::move(*data.eval)), true);
  train_ = run_.source("train", config_.train, as_dataset(std::move(data.train)), false);
  model_ = run_.model("model", config_.model);
  samples_ =
      make_samples(config_.samples, model_->config(), run_, spans_, config_.learn.length.specials_in_text);
  check_fits(*train_, config_.train, model_->config(), config_.model);
  if (eval_) check_fits(*eval_, *config_.eval, model_->config(), config_.model);
  run_.trains(*model_, config_.model);
  config_.resolve(train_->size());
  objective_ = std::make_unique<SupervisedObjective>(model_);
}

Metrics SftTrainer::measure() {
  ProgressLine progress("held-out texts", eval_->size(), run_.team());
  const Look look = [&](const Batch& batch, const Slot&) {
    const Said said = objective_->said(batch);
    const Tensor tokens = by_sequence(at::ones_like(said.logp), batch);
    Findings found{{}, at::stack({by_sequence(-said.logp, batch), tokens}, 1)};
    found.metrics.merge(objective_->loss(said).metrics, "eval_");
    return found;
  };
  const Findings found = prefer::measure(eval_->plan(1), *eval_, run_.team(), look,
                                         [&](int64_t done, int64_t) { progress(done); });
  held_out_ = {found.column(0), found.column(1)};
  return found.metrics;
}

Interval SftTrainer::HeldOutTexts::perplexity(uint64_t seed) const {
  return bootstrap_ratio(nll, tokens, seed).exp();
}

std::vector<Figure> SftTrainer::figures() const {
  return {{"held-out perplexity",
           {NAN, NAN, NAN},
           held_out_.perplexity(static_cast<uint64_t>(config_.seed)),
           "exp of the mean negative log-likelihood a learnt token, of " +
               std::to_string(held_out_.nll.size()) + " texts; the interval is over texts"}};
}

void SftTrainer::train(Hooks hooks) {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  run_.say_memory(training, *train_, model_->config(), false);
  hooks.push_back(count_tokens(*train_, training.step));
  if (eval_) {
    before_ = run_.before(training, [this] {
      measure();
      return figures();
    });
    run_.evaluates(hooks, [this] { return measure(); });
  }
  if (samples_) hooks.push_back(samples_->hook(*model_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  if (eval_ && held_out_.nll.empty()) measure();
  run_.team().on_first([&] { finish(result); });
}

void SftTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *model_, spans_.tokenizer().files());
  report().title = "Supervised fine-tuning on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " texts.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (eval_) report().figures = with_before(figures(), before_);
  run_.finish(result, *model_, config_.model);
}

}  // namespace prefer
