// Composes data, policy, reference, loss and the loop into a DPO run.
#include "prefer/trainers/dpo.hpp"

#include "kernels/isa.hpp"
#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/core/version.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/measure.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/trainers/progress.hpp"
#include "prefer/trainers/run_files.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {

void DpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the policy is held to; null: the model as loaded");
  f("train", train, "pairs: .jsonl, .jsonl.gz or a JSON array", required());
  f("eval", eval, "held-out pairs, or null");
  f("output", output, "folder for checkpoints, metrics, report and model", required());
  f("seed", seed, "of the record order", non_negative());
  f("dtype", dtype, "number type of the weights; gradients and the optimizer stay float32", dtype_rule());
  f("reference_logprobs", reference_logprobs,
    "run the reference in every step, or once and keep its log-probs on disk", one_of({"live", "cached"}));
  f("activation_checkpointing", activation_checkpointing,
    "compute layers again in backward: less memory, more time");
  f("resume", resume, "go on from the newest checkpoint in `output`, or start; false refuses a used folder");
  f("on_bad", on_bad, "a record that cannot be used stops the run or is skipped and counted",
    one_of({"stop", "skip"}));
  f.group("loss", loss);
  length.describe(f);
  order.describe(f);
  fit.describe(f);
  f.group("checkpoint", checkpoint);
  f("log_every", log_every, "steps between plain lines on a log", at_least(1));
  f("eval_every", eval_every, "steps between evaluations on `eval`; 0: at the end only", at_least(0));
  f.group("samples", samples);
  process.describe(f);
}

void DpoConfig::check() const {
  if (eval_every > 0 && !eval) fail("eval_every=", eval_every, " wants held-out pairs, and eval is null");
  if (samples.every > 0 && !samples.prompts)
    fail("samples.every=", samples.every, " wants prompts to answer, and samples.prompts is null");
  if (loss.needs_reference()) return;
  if (reference)
    fail("reference=", *reference, " would not be read: loss.name=", loss.name(), " has no reference");
  if (reference_logprobs == "cached")
    fail("reference_logprobs=cached would do nothing: loss.name=", loss.name(), " has no reference");
}

namespace {

/// Throws Error where `model`, whose path is `name`, has no place or no embedding for a token of `source`.
void check_fits(const RecordSource& source, const std::string& path, const ModelConfig& model,
                const std::string& name) {
  std::size_t longest = 0;
  int32_t largest = 0;
  for (const Record& record : source.records()) {
    for (const Sequence& s : record) {
      longest = std::max(longest, s.tokens.size());
      largest = std::max(largest, std::ranges::max(s.tokens));
    }
  }
  if (static_cast<int64_t>(longest) > model.context) {
    fail(path, ": the longest side has ", longest, " tokens, and the context of ", name, " is ",
         model.context, "; max_length=", model.context, " cuts it");
  }
  if (largest >= model.vocab_size) {
    fail(path, ": has token ", largest, ", and the vocabulary of ", name, " is 0..", model.vocab_size - 1,
         "; its tokenizer belongs to another model");
  }
}

}  // namespace

DpoTrainer::DpoTrainer(DpoConfig config, Process& process)
    : config_(std::move(config)), process_(process), spans_(load_tokenizer(config_.model)) {
  config_.check();
  config_.order.seed = static_cast<uint64_t>(config_.seed);
  const at::ScalarType dtype = dtype_from_name(config_.dtype);
  process_.say(process_.description());
  train_ = source(config_.train, "train");
  if (config_.eval) eval_ = source(*config_.eval, "eval");
  if (config_.order.batch_size > train_->size()) {
    process_.say("batch_size=" + std::to_string(config_.order.batch_size) + " is more than the " +
                 std::to_string(train_->size()) + " pairs: a step holds some of them more than once");
  }
  if (config_.samples.prompts) {
    inputs_["samples.prompts"] =
        sha256(read_file(process_.fs(), *config_.samples.prompts, uint64_t{1} << 30));
    samples_.emplace(config_.samples, process_.fs(), join_path(config_.output, "samples"), spans_);
  }
  policy_ = load_model(process_.fs(), config_.model, dtype, process_.device());
  inputs_["model"] = weights_fingerprint(policy_->weights());
  if (config_.loss.needs_reference()) {
    reference_ =
        load_model(process_.fs(), config_.reference.value_or(config_.model), dtype, process_.device());
    inputs_["reference"] = weights_fingerprint(reference_->weights());
  }
  for (const auto& model : {policy_, reference_}) {
    if (!model) continue;
    const std::string& name = model == policy_ ? config_.model : config_.reference.value_or(config_.model);
    check_fits(*train_, config_.train, model->config(), name);
    if (eval_) check_fits(*eval_, *config_.eval, model->config(), name);
  }
  policy_->train();
  policy_->checkpoint_activations(config_.activation_checkpointing);
  process_.say(config_.model + ": " + short_number(static_cast<double>(policy_->parameter_count()) / 1e6) +
               " million parameters, " + config_.dtype);
  const bool same_bits = process_.invariant(dtype);
  config_.fit.resolve_steps(train_->size(), config_.order.batch_size);
  config_.fit.save_every = config_.checkpoint.every;
  // Two right forwards in bf16 differ by 0.04 nats a token, in fp32 by 2e-5; here they are the same code.
  const double bound = same_bits ? 0.0 : (dtype == at::kBFloat16 ? 2.0 : 1e-2);
  objective_ = std::make_unique<PreferenceObjective>(
      policy_, config_.loss,
      ReferenceSource{keeps_reference() ? nullptr : reference_, !config_.reference, bound});
}

std::unique_ptr<RecordSource> DpoTrainer::source(const std::string& path, const std::string& name) {
  const OnBad on_bad = config_.on_bad == "skip" ? OnBad::skip : OnBad::stop;
  const PreferenceData data = load_preferences(process_.fs(), path, spans_, config_.length, on_bad);
  check_trainable(data, config_.length, path);
  inputs_[name] = fingerprint(data.pairs);
  process_.say(path + ": " + data.counts.text());
  if (data.skipped.total() > 0) process_.say(path + ": " + data.skipped.text());
  skipped_.add(data.skipped);
  auto records = std::make_shared<std::vector<Record>>();
  for (const TokenisedPair& pair : data.pairs) records->push_back(as_group(pair));
  if (data.counts.truncated > 0)
    report_.skipped.emplace_back(name + ": answers truncated", data.counts.truncated);
  if (data.counts.unshared > 0)
    report_.skipped.emplace_back(name + ": pairs without a shared prompt", data.counts.unshared);
  RecordOrder order = config_.order;
  if (name == "eval") order.batch_size = static_cast<int64_t>(records->size());
  return std::make_unique<RecordSource>(std::move(records), order, process_.device());
}

bool DpoTrainer::keeps_reference() const { return config_.reference_logprobs == "cached" && reference_; }

void DpoTrainer::use_reference(RecordSource& source) {
  const std::string how = config_.dtype + " " + process_.device().str() + " " + gemm_routes().name();
  const std::string key = reference_key(source.records(), reference_->weights(), how);
  source.attach("reference",
                cached_reference(process_.fs(), join_path(config_.output, "reference"), key, [&] {
                  ProgressLine progress("reference log-probs", source.size());
                  return score_records(*reference_, source, [&](int64_t done, int64_t) { progress(done); });
                }));
}

void DpoTrainer::say_memory(const Training& training) const {
  int64_t tokens = 0;
  for (int64_t step = 1; step <= std::min<int64_t>(training.config.steps, 20); ++step) {
    for (const Slot& slot : train_->plan(step).slots) tokens = std::max(tokens, slot.tokens);
  }
  const auto width = static_cast<int64_t>(c10::elementSize(policy_->dtype()));
  process_.say("memory: " + estimate_memory(policy_->config(), width, reference_ ? 2 : 1, tokens,
                                            config_.activation_checkpointing)
                                .text());
}

bool DpoTrainer::train() {
  Alone team;
  Training training(config_.fit, *train_, *objective_);
  const Json resolved = config_json(config_);
  Checkpoints checkpoints(
      process_.fs(), config_.output, config_.checkpoint,
      {.config = resolved,
       .inputs = inputs_,
       .route = gemm_routes().name(),
       .isa = kernels::name(kernels::best_isa()),
       .version = kVersion,
       .free = {"steps", "epochs", "output", "resume", "checkpoint", "log_every", "eval", "eval_every",
                "threads", "model", "reference", "train", "samples"}});  // files are known by their content
  const int64_t first = checkpoints.open(config_.resume, checkpoint_bytes(training), team);
  for (const std::string& note : checkpoints.notes()) process_.say(note);
  checkpoints.restore(training);
  if (first > 0)
    process_.say("going on after step " + std::to_string(first) + " of " + std::to_string(config_.fit.steps));
  write_config(resolved);
  if (keeps_reference()) {
    use_reference(*train_);
    if (eval_) use_reference(*eval_);
    reference_.reset();
  }
  say_memory(training);
  if (samples_ && first == 0) samples_->write(0, *policy_);
  const FitResult result = run(training, checkpoints, team);
  if (result.stopped) {
    process_.say("stopped after step " + std::to_string(result.step) + "; resume=true goes on from there");
    return false;
  }
  finish(result);
  return true;
}

void DpoTrainer::write_config(const Json& resolved) {
  const std::string path = join_path(config_.output, "config.json");
  if (process_.fs().exists(path)) {
    const Json before = parse_json(read_file(process_.fs(), path, 1 << 20), path);
    const int64_t was = before.at("steps").as_integer(), is = config_.fit.steps;
    if (was != is && config_.fit.schedule.lr_scheduler_type != "constant") {
      process_.say("steps was " + std::to_string(was) + " and is " + std::to_string(is) +
                   ": from here the learning rate follows the new schedule");
    }
  }
  process_.say("config " + config_hash(resolved).substr(0, 12) + ": " + dump(resolved));
  write_file_atomically(process_.fs(), path, dump(resolved, 2) + "\n");
}

FitResult DpoTrainer::run(Training& training, Checkpoints& checkpoints, Team& team) {
  const StopSignals signals = process_.watch_signals();
  Hooks hooks = {stop_when([&signals] { return signals.requested(); }, team)};
  if (eval_)
    hooks.push_back(every(config_.eval_every > 0 ? config_.eval_every : training.config.steps,
                          evaluate(team, [this] { return measure(*objective_, *eval_, "eval_"); })));
  if (samples_) hooks.push_back(samples_->hook(*policy_));
  hooks.push_back(metrics_file(process_.fs(), config_.output, training.step));
  hooks.push_back(tensorboard(process_.fs(), config_.output));
  hooks.push_back(console(standard_error(config_.log_every)));
  hooks.push_back(save_checkpoints(checkpoints, training, team));
  return fit(training, team, hooks);
}

void DpoTrainer::finish(const FitResult& result) {
  save_model(process_.fs(), join_path(config_.output, "model"), *policy_, spans_.tokenizer().files());
  report_.title = config_.loss.name() + " on " + config_.train;
  report_.summary =
      std::to_string(result.step) + " steps of " + std::to_string(config_.order.batch_size) + " pairs.";
  report_.facts = {{"model", config_.model},
                   {"parameters", std::to_string(policy_->parameter_count())},
                   {"machine", process_.description()},
                   {"peak memory", bytes_text(peak_memory())}};
  for (const auto& [reason, cases] : skipped_.reasons) report_.skipped.emplace_back(reason, cases.count);
  if (result.skipped > 0) report_.skipped.emplace_back("steps that the guard skipped", result.skipped);
  if (samples_) report_.samples = samples_->side_by_side(result.step);
  if (eval_) report_.figures = held_out_figures();
  report_.plots = read_plots(process_.fs(), config_.output);
  report_.config = dump(config_json(config_), 2);
  write_report();
  process_.say("peak memory " + bytes_text(peak_memory()) + "; wrote " + join_path(config_.output, "model") +
               " and " + join_path(config_.output, "report.html"));
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

void DpoTrainer::write_report() {
  write_file_atomically(process_.fs(), join_path(config_.output, "report.html"), render_html(report_));
}

}  // namespace prefer
