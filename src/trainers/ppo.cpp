// Composes prompts, policy, reference, value model, reward and the loop into a PPO run.
#include "prefer/trainers/ppo.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/score.hpp"
#include "prefer/rollout/lexicon.hpp"
#include "prefer/trainers/data.hpp"
#include "prefer/trainers/progress.hpp"
#include "prefer/trainers/run_files.hpp"

#include <algorithm>
#include <chrono>
#include <set>

namespace prefer {
namespace {

constexpr const char* kOwn = "own";
constexpr const char* kShared = "shared";

/// Steps where the config says iterations.
PpoConfig resolved(PpoConfig config) {
  check_config(config);
  config.fit.iteration = config.rollout.steps();
  config.fit.steps = config.iterations * config.fit.iteration;
  config.resolve(0);
  return config;
}

/// Bytes of the keys and values of the answers that are decoded at once, and of their prompts.
int64_t cache_bytes(const ModelConfig& model, const PpoConfig& config, int64_t longest_prompt,
                    int64_t width) {
  const int64_t most = config.rollout.local_rollout_forward_batch_size, prompts = config.order.batch_size;
  const int64_t rows =
      std::min(most, prompts) * longest_prompt +
      std::min(most, prompts * config.rollout.num_generations) * config.rollout.response_length;
  return rows * model.layers * 2 * model.kv_heads * model.head_dim * width;
}

/// rollout_seconds at the first step of an iteration; at its last TRL's eps, the answers a second since this
/// program began to train.
Hook pace(const RolloutSource& rollouts) {
  const auto begin = std::chrono::steady_clock::now();
  return [&rollouts, begin, answers = 0.0](StepEvent& event) mutable {
    const Iteration& iteration = rollouts.iteration();
    if (iteration.begins_at(event.step)) {
      event.times["rollout_seconds"] = rollouts.seconds();
      answers += iteration.episodes;
    }
    const auto passed = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    if (event.boundary) event.times["eps"] = answers / passed;
  };
}

}  // namespace

void PpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the KL in the reward is from; null: the model as loaded", path());
  f("train", train, "prompts: .jsonl, .jsonl.gz or a JSON array of {prompt} or {messages}", required());
  f("eval", eval, "held-out prompts, or null", path());
  f("specials_in_text", specials_in_text,
    "plain prompts may spell control tokens (they were rendered before)");
  f("eval_samples", eval_samples, "answers to each held-out prompt", within(1, 1 << 16));
  f("reward_model", reward_model, "folder of a reward model with the tokenizer of `model`, or null", path());
  f("lexicon", lexicon, "a sentiment lexicon (VADER's vader_lexicon.txt) as the reward, or null", path());
  f("value", value,
    "own: a network that begins as the policy; shared: a head on the policy; or a reward model's folder");
  f("value_learning_rate_scale", value_learning_rate_scale,
    "times optimizer.learning_rate, for the value model", positive());
  describe_folder(f);
  f("iterations", iterations, "rounds of sampling and learning", within(1, kMostSteps));
  order.describe(f, "prompts an iteration, over all ranks");
  rollout.describe(f);
  loss.describe(f);
  fit.describe_update(f);
  f.group("samples", samples);
  describe_pace(f);
}

void PpoConfig::check() const {
  RunConfig::check(eval.has_value());
  samples.check();
  if (reward_model && lexicon)
    fail("reward_model=", *reward_model, " and lexicon=", *lexicon, " are two rewards; give one");
  if (eval_samples > 1 && !eval)
    fail("eval_samples=", eval_samples, " wants held-out prompts, and eval is null");
  rollout.check(order.batch_size);
  if (dtype == "float64")
    fail("dtype=float64: log-probs of answers are kept in float32; give float32 or bfloat16");
}

PpoTrainer::PpoTrainer(PpoConfig config, Process& process)
    : PpoTrainer(std::move(config), process, Scorer()) {}

PpoTrainer::PpoTrainer(PpoConfig config, Process& process, Reward reward, Json knobs)
    : PpoTrainer(std::move(config), process, reward ? each(reward) : Scorer(), std::move(knobs)) {}

PpoTrainer::PpoTrainer(PpoConfig config, Process& process, Scorer reward, Json knobs)
    : config_(resolved(std::move(config))),
      knobs_(std::move(knobs)),
      run_(config_, process),
      spans_(load_tokenizer(process.fs(), config_.model), config_.chat_template),
      controller_(config_.rollout.kl_coef, config_.rollout.kl_target, config_.rollout.kl_horizon) {
  Prompts train = read("train", config_.train);
  std::optional<Prompts> eval;
  if (config_.eval) eval = read("eval", *config_.eval);
  SamplesConfig samples = config_.samples;
  samples.every *= config_.fit.iteration;
  policy_ = run_.model("model", config_.model);
  samples_ = make_samples(samples, policy_->config(), run_, spans_, config_.specials_in_text);
  admit(policy_->config(), config_.model);
  check_end_token();
  reference_ = run_.reference(config_.reference, *policy_, config_.model, spans_.tokenizer());
  admit(reference_->config(), config_.reference.value_or(config_.model));
  const std::shared_ptr<ValueModel> value = value_model();
  const Scorer score = scorer(std::move(reward));
  std::vector<Question> questions = fitting(std::move(train));
  run_.trains(*policy_, config_.model);
  run_.say_batch(std::ssize(questions), "prompts: an iteration");
  rollouts_ = std::make_unique<RolloutSource>(
      config_.rollout, run_.order(), std::move(questions),
      RolloutModels{policy_, reference_, value, spans_.shared_tokenizer(), score}, controller_, run_.team());
  objective_ = std::make_unique<PpoObjective>(
      policy_, value,
      PpoSettings{.loss = config_.loss,
                  .temperature = config_.rollout.temperature,
                  .value_rate_scale = config_.value_learning_rate_scale,
                  .starts_at_reference = run_.starts_at_reference(),
                  .bound = run_.reference_bound(*policy_, config_.rollout.response_length)},
      rollouts_->iteration(), controller_);
  if (eval) hold_out(fitting(std::move(*eval)), score);
}

void PpoTrainer::check_end_token() const {
  const std::optional<int64_t>& stop = config_.rollout.stop_token_id;
  if (stop && *stop >= policy_->config().vocab_size)
    fail("stop_token_id=", *stop, ": the vocabulary of ", config_.model, " is 0..",
         policy_->config().vocab_size - 1);
  const auto wants_end = [&](const char* key, const std::optional<double>& value, const char* what) {
    if (value && !stop && policy_->config().eos.empty())
      fail(key, "=", *value, " would be ", what, " every answer: ", config_.model,
           " names no end token (eos_token_id)");
  };
  wants_end("missing_eos_penalty", config_.rollout.missing_eos_penalty, "taken from");
  wants_end("missing_eos_score", config_.rollout.missing_eos_score, "the score of");
}

void PpoTrainer::hold_out(std::vector<Question> questions, const Scorer& score) {
  const Scorer credited = [score, rollout = config_.rollout](std::span<const Answer> answers) {
    std::vector<double> scores = score(answers);
    if (scores.size() == answers.size())
      for (std::size_t i = 0; i < scores.size(); ++i)
        scores[i] = rollout.credited(scores[i], answers[i].ended);
    return scores;
  };
  held_out_.emplace(std::move(questions), *policy_, reference_, spans_.shared_tokenizer(), credited,
                    GenerateOptions{.max_new_tokens = config_.rollout.response_length,
                                    .temperature = config_.rollout.temperature,
                                    .n = config_.eval_samples,
                                    .batch_size = config_.rollout.local_rollout_forward_batch_size,
                                    .seed = static_cast<uint64_t>(config_.seed),
                                    .stop = config_.rollout.stop()},
                    run_.team());
}

PpoTrainer::Prompts PpoTrainer::read(const std::string& what, const std::string& path) {
  Prompts prompts{what, path};
  prompts.questions = or_way_on([&] {
    return load_questions(run_.process().fs(), path, spans_,
                          {config_.bad_records(), specials_if(config_.specials_in_text)}, prompts.skipped);
  });
  return prompts;
}

/// Throws Error where a model has no embedding of a token that may be drawn, one that no text has included,
/// and remembers the shortest context.
void PpoTrainer::admit(const ModelConfig& model, const std::string& name) {
  const int64_t said = policy_->config().vocab_size;
  if (model.vocab_size < said)
    fail(name, ": its vocabulary is 0..", model.vocab_size - 1, ", and ", config_.model,
         " may say tokens up to ", said - 1);
  if (room_.model.empty() || model.context < room_.context) room_ = {name, model.context, 0};
  if (room_.context <= config_.rollout.response_length)
    fail("response_length=", config_.rollout.response_length,
         " leaves no room for a prompt in the context of ", room_.model, ", ", room_.context);
}

/// What answers leave of the context of the model that has the least; of a reward model's, which reads an
/// answer as the template writes it, what stands behind the end token too.
PpoTrainer::Room PpoTrainer::room_beside(const Question& question) const {
  const int64_t answer = config_.rollout.response_length;
  const std::vector<int32_t>& tail = question.tail;
  const bool completed =
      !tail.empty() && config_.rollout.stop_token_id.value_or(tail.front()) == tail.front();
  const int64_t behind = completed ? std::ssize(tail) - 1 : 0;
  if (judge_.model.empty() || judge_.context - behind >= room_.context)
    return {room_.model, room_.context, room_.context - answer};
  return {judge_.model, judge_.context, judge_.context - answer - behind};
}

/// Those that leave an answer room; the others stop the run or are skipped, as `on_bad` says.
std::vector<Question> PpoTrainer::fitting(Prompts prompts) {
  std::vector<Question> kept;
  std::set<std::vector<int32_t>> known;
  // Figures take held-out prompts for independent, and a file of pairs repeats them.
  const bool once = prompts.what == "eval";
  for (Question& question : prompts.questions) {
    if (once && !known.insert(question.tokens).second) {
      prompts.skipped.add("the prompt stands before", question.place);
      continue;
    }
    check_token(std::ranges::max(question.tokens), prompts.path, policy_->config(), config_.model);
    const auto size = static_cast<int64_t>(question.tokens.size());
    const auto& [model, context, most] = room_beside(question);
    if (size <= most) {
      longest_prompt_ = std::max(longest_prompt_, size);
      kept.push_back(std::move(question));
    } else if (config_.bad_records() == OnBad::stop) {
      throw BadRecord(
          question.place,
          "the prompt has " + std::to_string(size) + " tokens, and at most " + std::to_string(most) +
              " leave room for response_length=" + std::to_string(config_.rollout.response_length) +
              (most < context - config_.rollout.response_length ? " and what the chat template writes behind"
                                                                : "") +
              " in the context of " + model + ", " + std::to_string(context));
    } else {
      prompts.skipped.add("the prompt has more than " + std::to_string(most) + " tokens", question.place);
    }
  }
  if (kept.empty()) {
    const std::string skipped = prompts.skipped.text();
    fail(prompts.path, ": there is no prompt", skipped.empty() ? "" : "; ", skipped);
  }
  run_.reads(prompts.what, fingerprint(kept));
  run_.process().say(prompts.path + ": " + std::to_string(kept.size()) + " prompts");
  run_.skipped(prompts.what, prompts.path, prompts.skipped);
  return kept;
}

Scorer PpoTrainer::scorer(Scorer own) {
  if (own) {
    if (config_.reward_model || config_.lexicon)
      fail("this program has a reward of its own: reward_model and lexicon would not be read");
    return own;
  }
  if (config_.lexicon) {
    Fs& fs = run_.process().fs();
    const auto lexicon = std::make_shared<const Lexicon>(Lexicon::load(fs, *config_.lexicon));
    run_.reads("lexicon", sha256(read_file(fs, *config_.lexicon, uint64_t{64} << 20)));
    return each([lexicon](const std::string&, const std::string& answer) { return lexicon->score(answer); });
  }
  if (!config_.reward_model) fail("PPO wants a reward: give reward_model=FOLDER or lexicon=FILE");
  const auto model = reward_model("reward_model", *config_.reward_model);
  run_.say_where_read(model->config(), *config_.reward_model, spans_.tokenizer());
  judge_ = {*config_.reward_model, model->config().context, 0};
  reward_bytes_ = model->transformer().parameter_count() *
                  static_cast<int64_t>(c10::elementSize(model->transformer().dtype()));
  return scorer(std::shared_ptr<const RewardModel>(model->frozen()));
}

Scorer PpoTrainer::scorer(std::shared_ptr<const RewardModel> model) const {
  return [model, tokens = config_.order.tokens_per_slot](std::span<const Answer> answers) {
    std::vector<std::vector<int32_t>> texts;
    for (const Answer& answer : answers) texts.push_back(as_judged(answer));
    const std::vector<float> scores = score_texts(*model, texts, tokens, model->transformer().device());
    return std::vector<double>(scores.begin(), scores.end());
  };
}

std::shared_ptr<RewardModel> PpoTrainer::reward_model(const std::string& what, const std::string& path) {
  if (!is_reward_model(run_.process().fs(), path))
    fail(what, "=", path,
         " is a language model; a reward model, as the program reward writes it, is asked for");
  auto model = run_.reward_model(what, path, spans_.tokenizer());
  run_.check_tokenizer(what, path, spans_.tokenizer(), config_.model);
  admit(model->config(), path);
  return model;
}

std::shared_ptr<ValueModel> PpoTrainer::value_model() {
  const bool loaded = config_.value != kShared && config_.value != kOwn;
  if (!loaded) run_.reads("value", config_.value);  // a folder is known by its content, wherever it lies
  if (config_.value == kShared)
    return std::make_shared<SharedValueModel>(policy_->config().hidden_size, policy_->dtype(),
                                              policy_->device());
  if (loaded && !run_.process().fs().exists(config_.value))
    fail("value=", config_.value,
         ": must be own, shared or the folder of a reward model, and there is no such folder");
  const auto network = loaded ? reward_model("value", config_.value) : value_network(*policy_);
  network->transformer().train();
  network->transformer().checkpoint_activations(config_.activation_checkpointing);
  return std::make_shared<OwnValueModel>(network);
}

void PpoTrainer::say_memory(const Training& training) const {
  const auto width = static_cast<int64_t>(c10::elementSize(policy_->dtype()));
  const int64_t prompts = config_.order.batch_size / config_.rollout.num_mini_batches,
                scored = prompts * config_.rollout.num_generations * config_.rollout.response_length,
                most = config_.order.tokens_per_slot;
  const SlotSize slot{std::min(prompts * longest_prompt_ + scored, most), std::min(scored, most)};
  MemoryEstimate all =
      estimate_memory(policy_->config(), width, /*reference=*/true, slot, config_.activation_checkpointing);
  if (config_.value != kShared) {
    const MemoryEstimate value = estimate_memory(policy_->config(), width, /*reference=*/false,
                                                 {slot.tokens, 0}, config_.activation_checkpointing);
    all.weights += value.weights;
    all.gradients += value.gradients;
    all.optimizer += value.optimizer;
    all.activations += value.activations;
  }
  all.frozen += reward_bytes_;
  // Answers are sampled before there are activations to keep.
  all.activations =
      std::max(all.activations, cache_bytes(policy_->config(), config_, longest_prompt_, width));
  run_.say_memory(training, all);
}

/// With the knobs of a reward of one's own.
Json PpoTrainer::resolved_config() const {
  Json all = knobs_;
  for (const std::string& free : Run::free_keys())
    if (all.contains(free))
      fail("the reward's key ", free, " is free to change in other runs; give it another name");
  const Json own = config_json(config_);
  for (const auto& [key, value] : own.as_object()) {
    if (all.contains(key)) fail("the reward's key ", key, " is one of PPO's own; give it another name");
    all.set(key, value);
  }
  return all;
}

void PpoTrainer::train(Hooks hooks) {
  Training training(config_.fit, *rollouts_, *objective_);
  run_.open(training, resolved_config());
  say_memory(training);
  if (held_out_ && !run_.starts_at_reference()) {
    const auto start = training.step == 0 ? policy_ : run_.model("model", config_.model);
    held_out_->before(*start);
  }
  rollouts_->progress = [this, line = std::optional<ProgressLine>()](int64_t done, int64_t all) mutable {
    if (!line) line.emplace("answers", all, run_.team());
    (*line)(done);
    if (done >= all) line.reset();
  };
  hooks.push_back(pace(*rollouts_));
  if (held_out_) run_.evaluates(hooks, [this] { return held_out_->measure(); });
  if (samples_) hooks.push_back(samples_->hook(*policy_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  if (held_out_) held_out_->complete();
  run_.team().on_first([&] { finish(result); });
}

void PpoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = "PPO on " + config_.train;
  report().summary = std::to_string(result.step / config_.fit.iteration) + " iterations of " +
                     std::to_string(config_.order.batch_size * config_.rollout.num_generations) + " answers.";
  report().facts = {{"reward", config_.lexicon.value_or(config_.reward_model.value_or("the program's own"))}};
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (held_out_) {
    report().figures = held_out_->figures(static_cast<uint64_t>(config_.seed));
    if (!samples_) report().samples = held_out_->samples(12);
  }
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
