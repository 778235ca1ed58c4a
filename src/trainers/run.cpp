// The part of a training run that does not depend on its method.
#include "prefer/trainers/run.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/program.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/core/version.hpp"
#include "prefer/model/load.hpp"
#include "prefer/ops/gemm.hpp"

#include <algorithm>
#include <cmath>
#include <utility>

namespace prefer {
namespace {

int64_t scored_tokens(const Record& record) {
  int64_t count = 0;
  for (const Sequence& s : record)
    for (const ScoredRange& range : s.scored) count += range.end - range.begin;
  return count;
}

/// What the run in `output` has as team.slots; 0 where there is none.
int64_t saved_slots(Fs& fs, const std::string& output) {
  const std::string file = join_path(output, "config.json");
  if (!fs.exists(file)) return 0;
  const Json saved = parse_json(read_file(fs, file, 1 << 20), file);
  const Json* team = saved.find("team");
  return team == nullptr ? 1 : team->at("slots").as_integer();
}

}  // namespace

void TeamConfig::describe(Fields& f) {
  f("exact", exact, "add gradients up in fixed point: any number of ranks ends in the same bits");
  f("slots", slots,
    "cut a step into a multiple of so many micro-batches; 0: as many as ranks, or as the run resumed",
    within(0, 1 << 20));
}

void RunConfig::describe(Fields& f) {
  describe_folder(f);
  order.describe(f);
  fit.describe(f);
  describe_pace(f);
}

void RunConfig::describe_folder(Fields& f) {
  f("output", output, "folder for checkpoints, metrics, report and model", required());
  f("seed", seed, "of the record order and of every draw", non_negative());
  f("dtype", dtype, "number type of the weights; gradients and the optimizer are float32, or float64 with it",
    dtype_rule());
  f("activation_checkpointing", activation_checkpointing,
    "compute layers again in backward: less memory, more time");
  f("resume", resume, "go on from the newest checkpoint in `output`, or start; false refuses a used folder");
  f("on_bad", on_bad, "a record that cannot be used stops the run or is skipped and counted",
    one_of({"stop", "skip"}));
  chat_template.describe(f);
}

void RunConfig::describe_pace(Fields& f) {
  f.group("checkpoint", checkpoint);
  f.group("team", team);
  f("log_every", log_every, "steps between plain lines on a log", at_least(1));
  f("eval_every", eval_every, "steps (PPO: iterations) between evaluations on `eval`; 0: at the end only",
    within(0, kMostSteps));
  process.describe(f);
}

void RunConfig::check(bool has_eval) const {
  if (eval_every > 0 && !has_eval)
    fail("eval_every=", eval_every, " wants held-out records, and eval is null");
}

void RunConfig::resolve(int64_t records) {
  fit.resolve_steps(records, order.batch_size);
  fit.save_every = checkpoint.every * fit.iteration;
  fit.exact = team.exact;
}

Run::Run(RunConfig& config, Process& process) : config_(config), process_(process) {
  team().doing("loading");
  int64_t saved = 0;
  team().on_first([&] {
    check_output(process_.fs(), config_.output, config_.resume);
    used_ = process_.fs().exists(config_.output) && !process_.fs().list(config_.output).empty();
    if (config_.resume) saved = saved_slots(process_.fs(), config_.output);
  });
  saved = static_cast<int64_t>(team().gather(static_cast<double>(saved)).front());
  if (config_.team.slots == 0) config_.team.slots = saved > 0 ? saved : team().size();
  process_.say(process_.description());
}

std::string Run::path(const std::string& name) const { return join_path(config_.output, name); }

std::shared_ptr<Transformer> Run::model(const std::string& what, const std::string& path) {
  auto model = load_model(process_.fs(), path, dtype_from_name(config_.dtype), process_.device());
  reads(what, model_fingerprint(process_.fs(), path));
  return model;
}

std::shared_ptr<RewardModel> Run::reward_model(const std::string& what, const std::string& path,
                                               const Tokenizer& tokenizer) {
  if (!is_reward_model(process_.fs(), path)) {
    const auto base = model(what, path);
    const NewHead head{static_cast<uint64_t>(config_.seed), padding_token(tokenizer, base->config())};
    return std::make_shared<RewardModel>(with_score_head(*base, head));
  }
  reads(what, model_fingerprint(process_.fs(), path));
  return load_reward_model(process_.fs(), path, {}, dtype_from_name(config_.dtype), process_.device());
}

void Run::say_where_read(const ModelConfig& model, const std::string& path, const Tokenizer& ours) const {
  if (pads_with_an_end(ours, model))
    process_.say(path + ": its pad token is an end token, so a text is read at the token before its end, " +
                 "and its reward does not tell whether it ended");
}

void Run::trains(Transformer& model, const std::string& path) const {
  model.train();
  model.checkpoint_activations(config_.activation_checkpointing);
  process_.say(path + ": " + short_number(static_cast<double>(model.parameter_count()) / 1e6) +
               " million parameters, " + config_.dtype);
}

std::shared_ptr<Transformer> Run::reference(const std::optional<std::string>& path, const Transformer& policy,
                                            const std::string& model, const Tokenizer& tokenizer) {
  if (!path) {
    reads("reference", input("model"));
    return policy.frozen();
  }
  auto reference = this->model("reference", *path)->frozen();
  check_tokenizer("reference", *path, tokenizer, model);
  return reference;
}

double Run::reference_bound(const Transformer& policy, int64_t tokens) const {
  const InvarianceReport products = self_test_invariance(policy.dtype());
  process_.say_broken(products);
  return process_.sum_bound(products, policy.dtype(), tokens);
}

void Run::skipped(const std::string& what, const std::string& path, const Skipped& skipped) {
  process_.say_skipped(path, skipped);
  for (const auto& [reason, cases] : skipped.reasons)
    report_.skipped.emplace_back(what + ": " + reason, cases.count);
}

RecordOrder Run::order() const {
  RecordOrder order = config_.order;
  order.seed = static_cast<uint64_t>(config_.seed);
  order.slots = config_.team.slots;
  return order;
}

std::unique_ptr<RecordSource> Run::source(const std::string& what, const std::string& path, Dataset data,
                                          bool held_out) {
  reads(what, data.fingerprint);
  process_.say(path + ": " + data.counts);
  for (const auto& [reason, count] : data.noted) report_.skipped.emplace_back(what + ": " + reason, count);
  skipped(what, path, data.skipped);
  auto records = std::make_shared<const std::vector<Record>>(std::move(data.records));
  RecordOrder order = this->order();
  const auto size = static_cast<int64_t>(records->size());
  if (held_out) {
    order.batch_size = size;
  } else {
    say_batch(size, "records: a step");
  }
  auto source = std::make_unique<RecordSource>(std::move(records), order, process_.device());
  if (!data.asked.empty()) source->tell_prompts_by(data.asked);
  return source;
}

void Run::say_batch(int64_t records, const std::string& what) const {
  const int64_t asked = config_.order.batch_size, ranks = process_.team().size();
  const std::string batch = "batch_size=" + std::to_string(asked);
  if (asked < ranks) {
    process_.say(batch + " is less than the " + std::to_string(ranks) + " ranks: some have nothing to do");
  } else if (asked > records) {
    process_.say(batch + " is more than the " + std::to_string(records) + " " + what +
                 " holds some of them more than once");
  }
}

const std::vector<std::string>& Run::free_keys() {
  // Files are known by their content; the last three change no bit.
  static const std::vector<std::string> keys = {"steps",
                                                "epochs",
                                                "iterations",
                                                "output",
                                                "resume",
                                                "checkpoint",
                                                "log_every",
                                                "eval",
                                                "eval_every",
                                                "eval_samples",
                                                "threads",
                                                "model",
                                                "reference",
                                                "reward_model",
                                                "value",
                                                "lexicon",
                                                "train",
                                                "samples",
                                                "kl",
                                                "drop_overlap",
                                                "activation_checkpointing",
                                                "reference_logprobs",
                                                "local_rollout_forward_batch_size"};
  return keys;
}

void Run::open(Training& training, const Json& resolved) {
  resolved_ = resolved;
  const RunIdentity identity{.config = resolved,
                             .inputs = inputs_,
                             .route = gemm_routes().name(),
                             .isa = instruction_sets(),
                             .version = kVersion,
                             .free = free_keys()};
  check_ranks(identity);
  checkpoints_.emplace(process_.fs(), config_.output, config_.checkpoint, identity);
  const int64_t first = checkpoints_->open(config_.resume, checkpoint_bytes(training), team());
  for (const std::string& note : checkpoints_->notes()) process_.say(note);
  checkpoints_->restore(training);
  if (first > training.config.steps)
    fail("output ", config_.output, " is after ", counted(first), " already, and ",
         counted(training.config.steps), " is asked for as the last; give no less, or another output");
  if (used_ && first == 0)
    process_.say("there is no checkpoint in output " + config_.output + ": beginning at the first step");
  say_warmup();
  if (first > 0)
    process_.say("going on after " + counted(first) + " of " + std::to_string(training.config.steps));
  team().on_first([&] { write_config(); });
}

/// Where the learning rate never reaches its peak: in a first try on a few records it may stay 0.
void Run::say_warmup() const {
  const FitConfig& fit = config_.fit;
  const int64_t steps = fit.steps / fit.iteration, warmup = fit.schedule.warmup(steps);
  if (warmup < steps || steps == 0) return;
  process_.say("schedule: the warm-up of " + std::to_string(warmup) + " covers all " + std::to_string(steps) +
               (fit.iteration > 1 ? " iterations" : " steps") + ": the learning rate ends at " +
               short_number(fit.optimizer.learning_rate * fit.schedule.factor(steps, steps)) + " of " +
               short_number(fit.optimizer.learning_rate));
}

/// Ranks that differ would wait for each other, or train on different things, without a word.
void Run::check_ranks(const RunIdentity& identity) {
  RunIdentity whole = identity;
  whole.free = {"threads", "log_every", "output"};  // what each rank may have of its own
  for (const auto& [name, _] : inputs_) whole.free.push_back(name);
  Json shared = Json::object();
  const Json all_of_it = whole.to_json();
  for (const char* key : {"config", "inputs", "route", "isa", "version"}) shared.set(key, all_of_it.at(key));
  const std::string mine = dump(shared);
  const std::vector<std::string> hashes = team().gather(sha256(mine));
  const auto other = std::ranges::find_if(hashes, [&](const auto& hash) { return hash != hashes.front(); });
  if (other == hashes.end()) return;
  const std::vector<std::string> all = team().gather(mine);
  const auto rank = static_cast<std::size_t>(other - hashes.begin());
  fail("rank ", rank, " is of another run than rank 0: ",
       first_difference(parse_json(all.front(), "rank 0"), parse_json(all[rank], "rank")));
}

std::vector<Figure> Run::before(const Training& training, const std::function<std::vector<Figure>()>& taken) {
  const std::string file = path("before.json");
  std::vector<Figure> figures;
  if (training.step == 0) figures = taken();
  team().on_first([&] {
    if (training.step == 0) {
      write_file_atomically(process_.fs(), file, dump(figures_json(figures), 2) + "\n");
    } else if (process_.fs().exists(file)) {
      figures = figures_from_json(parse_json(read_file(process_.fs(), file, 1 << 20), file));
    }
  });
  return figures;
}

void Run::write_config() {
  const std::string file = path("config.json");
  if (process_.fs().exists(file)) {
    const Json before = parse_json(read_file(process_.fs(), file, 1 << 20), file);
    const std::string length = resolved_.contains("steps") ? "steps" : "iterations";
    const int64_t was = before.at(length).as_integer(), is = resolved_.at(length).as_integer();
    if (was != is && config_.fit.schedule.lr_scheduler_type != "constant") {
      process_.say(length + " was " + std::to_string(was) + " and is " + std::to_string(is) +
                   ": from here the learning rate follows the new schedule");
    }
  }
  process_.say("config " + config_hash(resolved_).substr(0, 12) + ": " + dump(resolved_));
  write_file_atomically(process_.fs(), file, dump(resolved_, 2) + "\n");
}

/// "step 6", and which iteration that is where iterations are of several.
std::string Run::counted(int64_t step) const {
  const int64_t steps = config_.fit.iteration;
  const std::string iteration = steps > 1 ? " (iteration " + std::to_string(step / steps) + ")" : "";
  return "step " + std::to_string(step) + iteration;
}

void Run::evaluates(Hooks& hooks, std::function<Metrics()> measure) const {
  const int64_t steps = config_.eval_every * config_.fit.iteration;
  const Hook once = [done = std::make_shared<int64_t>(0), hook = evaluate(std::move(measure))](StepEvent& e) {
    if (std::exchange(*done, e.step) != e.step) hook(e);
  };
  const Hook now_and_then = every(steps > 0 ? steps : config_.fit.steps, once);
  hooks.insert(hooks.begin(), now_and_then);
  hooks.push_back(now_and_then);
}

FitResult Run::fit(Training& training, Hooks hooks) {
  const StopSignals signals = process_.watch_signals();
  hooks.insert(hooks.begin(), pause_when([&signals] { return signals.requested(); }, team()));
  if (team().first()) {
    hooks.push_back(metrics_file(process_.fs(), config_.output, training.step));
    hooks.push_back(tensorboard(process_.fs(), config_.output));
    hooks.push_back(console(standard_error(config_.log_every)));
  }
  hooks.push_back(save_checkpoints(*checkpoints_, training, team()));
  const FitResult result = prefer::fit(training, team(), hooks);
  team().doing("after the last step");
  if (!result.paused) {
    if (result.step < training.config.steps)
      process_.say("a hook made " + counted(result.step) + " the last of " +
                   std::to_string(training.config.steps));
    return result;
  }
  process_.say("stopped after " + counted(result.step) + "; resume=true goes on from there");
  throw Stopped(
      static_cast<int>(std::ranges::max(team().gather(signals.signal()))));  // it may have come to one rank
}

void Run::say_memory(const Training& training, RecordSource& source, const ModelConfig& model,
                     bool reference) const {
  SlotSize largest;
  for (int64_t step = 1; step <= std::min<int64_t>(training.config.steps, 20); ++step) {
    for (const Slot& slot : source.plan(step).slots) {
      int64_t scored = 0;
      for (const int64_t record : slot.records) scored += scored_tokens(source.records()[record]);
      largest = {std::max(largest.tokens, slot.tokens), std::max(largest.scored, scored)};
    }
  }
  const auto width = static_cast<int64_t>(c10::elementSize(dtype_from_name(config_.dtype)));
  const MemoryEstimate estimate =
      estimate_memory(model, width, reference, largest, config_.activation_checkpointing);
  say_memory(training, estimate);
}

void Run::say_memory(const Training& training, MemoryEstimate estimate) const {
  for (const Trained& parameter : training.parameters)
    if (config_.team.exact) estimate.gradients += parameter.value.numel() * int64_t{sizeof(int64_t)};
  process_.say("memory: " + estimate.text(/*resumed=*/training.step > 0));
}

void Run::finish(const FitResult& result, const Transformer& model, const std::string& model_path) {
  report_.facts.insert(report_.facts.begin(), {{"model", model_path},
                                               {"parameters", std::to_string(model.parameter_count())},
                                               {"machine", process_.description()},
                                               {"peak memory", bytes_text(peak_memory())}});
  if (result.skipped > 0) report_.skipped.emplace_back("steps that the guard skipped", result.skipped);
  std::vector<Plot> plots = read_plots(process_.fs(), config_.output);
  std::ranges::move(report_.plots, std::back_inserter(plots));
  report_.plots = std::move(plots);
  for (const Figure& figure : report_.figures) {
    const std::string before = std::isnan(figure.before.mean) ? "" : ", before: " + figure.before.text();
    process_.say(figure.name + ": " + figure.after.text() + before);
  }
  report_.config = dump(resolved_, 2);
  write_report();
  process_.say("peak memory " + bytes_text(peak_memory()) + "; wrote " + path("model") + " and " +
               path("report.html"));
}

void Run::write_report() { write_file_atomically(process_.fs(), path("report.html"), render_html(report_)); }

}  // namespace prefer
