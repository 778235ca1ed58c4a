// Composes prompts, policy, reference, value model, reward and the loop into a PPO run.
#include "prefer/trainers/ppo.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/model/load.hpp"
#include "prefer/objectives/score.hpp"
#include "prefer/rollout/lexicon.hpp"
#include "prefer/trainers/progress.hpp"
#include "prefer/trainers/run_files.hpp"

#include <algorithm>
#include <limits>

namespace prefer {
namespace {

constexpr const char* kOwn = "own";
constexpr const char* kShared = "shared";

/// Steps where the config says iterations.
PpoConfig resolved(PpoConfig config) {
  config.check();
  config.fit.iteration = config.rollout.steps();
  config.fit.steps = config.iterations * config.fit.iteration;
  config.resolve(0);
  return config;
}

/// Throws Error for a prompt that leaves no room for an answer, or has a token that the model does not know.
void check_room(const std::vector<Question>& questions, const std::string& path, const PpoConfig& config,
                const ModelConfig& model) {
  for (const Question& question : questions) {
    const auto size = static_cast<int64_t>(question.tokens.size());
    if (size + config.rollout.response_length > model.context) {
      fail(path, ": a prompt has ", size,
           " tokens, and with response_length=", config.rollout.response_length, " leaves the context of ",
           config.model, ", ", model.context);
    }
    check_token(std::ranges::max(question.tokens), path, model, config.model);
  }
}

}  // namespace

void PpoConfig::describe(Fields& f) {
  f("model", model, "Hugging Face folder or .gguf that is trained", required());
  f("reference", reference, "model that the KL in the reward is from; null: the model as loaded");
  f("train", train, "prompts: .jsonl, .jsonl.gz or a JSON array of {prompt} or {messages}", required());
  f("eval", eval, "held-out prompts, or null");
  f("reward_model", reward_model, "folder of a reward model with the tokenizer of `model`, or null");
  f("lexicon", lexicon, "a sentiment lexicon (VADER's vader_lexicon.txt) as the reward, or null");
  f("value", value,
    "own: a network that begins as the policy; shared: a head on the policy; or a reward model's folder");
  f("value_learning_rate_scale", value_learning_rate_scale,
    "times optimizer.learning_rate, for the value model", positive());
  describe_folder(f);
  f("iterations", iterations, "rounds of sampling and learning", at_least(1));
  f("batch_size", order.batch_size, "prompts an iteration, over all ranks", within(1, 1 << 20));
  f("shuffle", order.shuffle, "permute the prompts anew in every pass; false keeps the file's order");
  f("share_prefixes", order.share_prefixes, "compute the prompt of several answers once");
  f("tokens_per_slot", order.tokens_per_slot, "token budget of a micro-batch", at_least(1));
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
  if (order.batch_size % rollout.num_mini_batches != 0) {
    fail("num_mini_batches=", rollout.num_mini_batches,
         " must divide the prompts of an iteration, batch_size=", order.batch_size);
  }
  if (dtype == "float64")
    fail("dtype=float64: log-probs of answers are kept in float32; give float32 or bfloat16");
}

PpoTrainer::PpoTrainer(PpoConfig config, Process& process, Reward reward)
    : config_(resolved(std::move(config))),
      run_(config_, process),
      spans_(load_tokenizer(config_.model)),
      controller_(config_.rollout.kl_coef, config_.rollout.kl_target, config_.rollout.kl_horizon) {
  std::vector<Question> questions = load("train", config_.train), held_out;
  if (config_.eval) held_out = load("eval", *config_.eval);
  SamplesConfig samples = config_.samples;
  samples.every *= config_.fit.iteration;
  samples_ = make_samples(samples, run_, spans_);
  policy_ = run_.model("model", config_.model);
  reference_ = config_.reference ? run_.model("reference", *config_.reference)->frozen() : policy_->frozen();
  if (!config_.reference) run_.reads("reference", run_.input("model"));
  check_room(questions, config_.train, config_, policy_->config());
  check_room(held_out, config_.eval.value_or(""), config_, policy_->config());
  const std::shared_ptr<ValueModel> value = value_model();
  policy_->train();
  policy_->checkpoint_activations(config_.activation_checkpointing);
  const Scorer score = scorer(std::move(reward));
  process.say(config_.model + ": " + short_number(static_cast<double>(policy_->parameter_count()) / 1e6) +
              " million parameters, " + config_.dtype);
  RecordOrder order = config_.order;
  order.seed = static_cast<uint64_t>(config_.seed);
  order.slots = config_.team.slots;
  rollouts_ = std::make_unique<RolloutSource>(
      config_.rollout, order, std::move(questions),
      RolloutModels{policy_, reference_, value, spans_.shared_tokenizer(), score}, controller_, run_.team());
  objective_ =
      std::make_unique<PpoObjective>(policy_, value,
                                     PpoSettings{.loss = config_.loss,
                                                 .temperature = config_.rollout.temperature,
                                                 .value_rate_scale = config_.value_learning_rate_scale,
                                                 .starts_at_reference = !config_.reference,
                                                 .bound = process.sum_bound(policy_->dtype())},
                                     rollouts_->iteration(), controller_);
  if (!held_out.empty()) {
    held_out_.emplace(std::move(held_out), *policy_, reference_, spans_.shared_tokenizer(), score,
                      GenerateOptions{.max_new_tokens = config_.rollout.response_length,
                                      .temperature = config_.rollout.temperature,
                                      .seed = order.seed,
                                      .step = std::numeric_limits<uint64_t>::max()});  // no iteration's
  }
}

std::vector<Question> PpoTrainer::load(const std::string& what, const std::string& path) {
  Skipped skipped;
  const OnBad on_bad = config_.on_bad == "skip" ? OnBad::skip : OnBad::stop;
  std::vector<Question> questions = load_questions(run_.process().fs(), path, spans_, on_bad, skipped);
  if (questions.empty()) fail(path, ": there is no prompt");
  run_.reads(what, fingerprint(questions));
  run_.process().say(path + ": " + std::to_string(questions.size()) + " prompts");
  run_.process().say_skipped(path, skipped);
  for (const auto& [reason, cases] : skipped.reasons)
    run_.report().skipped.emplace_back(what + ": " + reason, cases.count);
  return questions;
}

Scorer PpoTrainer::scorer(Reward reward) {
  if (reward) {
    if (config_.reward_model || config_.lexicon)
      fail("this program has a reward of its own: reward_model and lexicon would not be read");
    return each(std::move(reward));
  }
  if (config_.lexicon) {
    Fs& fs = run_.process().fs();
    const auto lexicon = std::make_shared<const Lexicon>(Lexicon::load(fs, *config_.lexicon));
    run_.reads("lexicon", sha256(read_file(fs, *config_.lexicon, uint64_t{64} << 20)));
    return each([lexicon](const std::string&, const std::string& answer) { return lexicon->score(answer); });
  }
  if (!config_.reward_model) fail("PPO wants a reward: give reward_model=FOLDER or lexicon=FILE");
  const auto frozen = reward_model("reward_model", *config_.reward_model)->frozen();
  return [frozen, tokens = config_.order.tokens_per_slot](std::span<const Answer> answers) {
    std::vector<std::vector<int32_t>> texts;
    for (const Answer& answer : answers) {
      texts.push_back(answer.prompt);
      texts.back().insert(texts.back().end(), answer.tokens.begin(), answer.tokens.end());
    }
    const std::vector<float> scores = score_texts(*frozen, texts, tokens, frozen->transformer().device());
    return std::vector<double>(scores.begin(), scores.end());
  };
}

std::shared_ptr<RewardModel> PpoTrainer::reward_model(const std::string& what, const std::string& path) {
  auto model = std::make_shared<RewardModel>(run_.model(what, path));
  const auto vocabulary = [](const Tokenizer& tokenizer) { return tokenizer.files()["tokenizer.json"]; };
  if (vocabulary(*load_tokenizer(path)) != vocabulary(spans_.tokenizer()))
    fail(what, "=", path, " has another tokenizer than model=", config_.model);
  return model;
}

std::shared_ptr<ValueModel> PpoTrainer::value_model() {
  if (config_.value == kShared)
    return std::make_shared<SharedValueModel>(policy_->config().hidden_size, policy_->dtype(),
                                              policy_->device());
  const auto network = config_.value == kOwn ? value_network(*policy_) : reward_model("value", config_.value);
  network->transformer().train();
  network->transformer().checkpoint_activations(config_.activation_checkpointing);
  return std::make_shared<OwnValueModel>(network);
}

void PpoTrainer::say_memory() const {
  const auto width = static_cast<int64_t>(c10::elementSize(policy_->dtype()));
  const int64_t answers =
      config_.order.batch_size / config_.rollout.num_mini_batches * config_.rollout.num_generations;
  const int64_t scored = std::min(answers * config_.rollout.response_length, config_.order.tokens_per_slot);
  const SlotSize slot{config_.order.tokens_per_slot, scored};
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
  run_.process().say("memory: " + all.text());
}

void PpoTrainer::train(Hooks hooks) {
  Training training(config_.fit, *rollouts_, *objective_);
  run_.open(training, config_json(config_));
  say_memory();
  const bool shown = run_.team().first();
  rollouts_->progress = [shown, line = std::optional<ProgressLine>()](int64_t done, int64_t total) mutable {
    if (!shown) return;
    if (done == 1) line.emplace("answers", total);
    (*line)(done);
  };
  if (held_out_) hooks.push_back(run_.evaluation([this] { return held_out_->measure(); }));
  if (samples_) hooks.push_back(samples_->hook(*policy_, training.step, run_.team()));
  const FitResult result = run_.fit(training, hooks);
  run_.team().on_first([&] { finish(result); });
}

void PpoTrainer::finish(const FitResult& result) {
  save_model(run_.process().fs(), run_.path("model"), *policy_, spans_.tokenizer().files());
  report().title = "PPO on " + config_.train;
  report().summary = std::to_string(result.step / config_.fit.iteration) + " iterations of " +
                     std::to_string(config_.order.batch_size * config_.rollout.num_generations) + " answers.";
  if (samples_) report().samples = samples_->side_by_side(result.step);
  if (held_out_) {
    report().figures = held_out_->figures(static_cast<uint64_t>(config_.seed));
    if (!samples_) report().samples = held_out_->samples(12);
  }
  run_.finish(result, *policy_, config_.model);
}

}  // namespace prefer
