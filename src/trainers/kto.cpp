// Composes judged answers, policy, reference, objective and the loop into a KTO run.
#include "prefer/trainers/kto.hpp"

#include "prefer/core/error.hpp"
#include "prefer/model/load.hpp"
#include "prefer/train/measure.hpp"
#include "prefer/trainers/progress.hpp"

#include <cmath>

namespace prefer {
namespace {

/// Adds TRL's rewards/margins, the mean reward of good answers less that of bad ones, where a step has both.
void add_margin(StepEvent& event) {
  const auto good = event.metrics.find("rewards/chosen"), bad = event.metrics.find("rewards/rejected");
  if (good != event.metrics.end() && bad != event.metrics.end())
    event.metrics["rewards/margins"] = good->second - bad->second;
}

}  // namespace

void KtoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded", path());
  DataConfig::describe(
      f,
      "judged answers: .jsonl, .jsonl.gz or a JSON array of {prompt, completion, label} or {messages, label}",
      "held-out answers, or null; eval_kl is the estimate of the KL that the loss takes from rewards");
  f.group("loss", loss);
  length.describe(f);
  f.group("samples", samples);
  RunConfig::describe(f);
}

void KtoConfig::check() const {
  RunConfig::check(eval.has_value());
  DataConfig::check();
  if (order.batch_size < 2)
    fail("batch_size=", order.batch_size, ": an answer to another prompt of the step wants 2 or more");
  samples.check();
}

/// With the answers to other prompts, cut where they would be longer than records or `context` are.
std::unique_ptr<MismatchedSource> KtoTrainer::mismatched(std::unique_ptr<RecordSource> records,
                                                         const std::string& path, int64_t context) {
  check_fits(*records, path, policy_->config(), config_.model);
  LengthOptions length = config_.length;
  length.max_length = length.max_length == 0 ? context : std::min(length.max_length, context);
  std::unique_ptr<MismatchedSource> source;
  try {
    source = std::make_unique<MismatchedSource>(std::move(records), length);
  } catch (const Error& error) {
    fail(path, ": ", error.what());
  }
  if (source->longest() > length.max_length)
    run_.process().say(path + ": a prompt with another's answer may have " +
                       std::to_string(source->longest()) + " tokens; those of more than " +
                       std::to_string(length.max_length) + " are cut");
  return source;
}

KtoTrainer::KtoTrainer(KtoConfig config, Process& process)
    : config_(std::move(config)),
      run_(config_, process),
      spans_(load_tokenizer(process.fs(), config_.model), config_.chat_template) {
  check_config(config_);
  TextData data = load_judged(config_, config_.length, spans_, config_.bad_records(), process);
  std::unique_ptr<RecordSource> eval;
  if (data.eval) eval = run_.source("eval", *config_.eval, as_dataset(std::move(*data.eval)), true);
  auto train = run_.source("train", config_.train, as_dataset(std::move(data.train)), false);
  policy_ = run_.model("model", config_.model);
  samples_ = make_samples(config_.samples, policy_->config(), run_, spans_, config_.length.specials_in_text);
  const auto reference = run_.reference(config_.reference, *policy_, config_.model, spans_.tokenizer());
  if (config_.reference) {
    check_fits(*train, config_.train, reference->config(), *config_.reference);
    if (eval) check_fits(*eval, *config_.eval, reference->config(), *config_.reference);
  }
  const int64_t context = std::min(policy_->config().context, reference->config().context);
  train_ = mismatched(std::move(train), config_.train, context);
  if (eval) eval_ = mismatched(std::move(eval), *config_.eval, context);
  run_.trains(*policy_, config_.model);
  config_.resolve(train_->records().size());
  objective_ =
      std::make_unique<KtoObjective>(policy_, config_.loss,
                                     ReferenceSource{reference, run_.starts_at_reference(),
                                                     run_.reference_bound(*policy_, train_->longest())});
}

Metrics KtoTrainer::measure() {
  ProgressLine progress("held-out answers", eval_->records().size(), run_.team());
  const Plan plan = eval_->plan(1);
  const NamedTensors prepared = objective_->prepare(plan, *eval_, run_.team());
  const Look look = [&](const Batch& batch, const Slot&) {
    const Judged judged = objective_->judged(batch, prepared);
    Findings found{{}, at::stack({objective_->reward(judged).to(at::kDouble), judged.desirable}, 1)};
    found.metrics.merge(objective_->loss(judged).metrics, "eval_");
    return found;
  };
  const Findings found =
      prefer::measure(plan, *eval_, run_.team(), look, [&](int64_t done, int64_t) { progress(done); });
  held_out_ = {found.column(0), found.column(1), eval_->records().prompts_of(plan)};
  return found.metrics;
}

std::vector<Figure> KtoTrainer::figures() const {
  std::vector<Figure> all;
  for (const bool good : {true, false}) {
    std::vector<double> rewards;
    std::vector<std::size_t> prompts;
    for (std::size_t i = 0; i < held_out_.reward.size(); ++i) {
      if ((held_out_.good[i] == 1) != good) continue;
      rewards.push_back(held_out_.reward[i]);
      prompts.push_back(held_out_.prompt[i]);
    }
    if (rewards.empty()) continue;
    const std::string name = good ? "good" : "bad";
    // Where the reference is the model as loaded, every reward was 0.
    all.push_back({"reward of " + name + " answers",
                   run_.starts_at_reference() ? Interval{} : Interval{NAN, NAN, NAN},
                   bootstrap_mean(rewards, prompts, static_cast<uint64_t>(config_.seed)),
                   "mean of beta (log pi - log ref) over " + std::to_string(rewards.size()) +
                       " held-out answers judged " + name});
  }
  return all;
}

void KtoTrainer::train(Hooks hooks) {
  Training training(config_.fit, *train_, *objective_);
  run_.open(training, config_json(config_));
  run_.say_memory(training, train_->records(), policy_->config(), true);
  hooks.insert(hooks.begin(), add_margin);
  if (eval_) run_.evaluates(hooks, [this] { return measure(); });
  if (samples_) hooks.push_back(samples_->hook(*policy_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  if (eval_ && held_out_.reward.empty()) measure();
  run_.team().on_first([&] { finish(result); });
}

void KtoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = "KTO on " + config_.train;
  report().summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " answers.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (eval_) report().figures = figures();
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
