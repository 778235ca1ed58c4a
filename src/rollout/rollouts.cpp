// Samples an iteration, gathers it on every rank, and turns scores into advantages.
#include "prefer/rollout/rollouts.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"
#include "prefer/credit/kl_estimators.hpp"
#include "prefer/credit/rewards.hpp"
#include "prefer/objectives/logprob.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "prefer/ops/scan.hpp"

#include <algorithm>
#include <chrono>
#include <numeric>

namespace prefer {
namespace {

/// The answer after its question: its tokens scored, and the states they were drawn in read.
Sequence sequence_of(const Question& question, std::span<const int32_t> answer, int64_t sample) {
  Sequence s = answer_after(question.tokens, answer);
  for (const ScoredRange& range : s.scored)
    for (int64_t t = range.begin; t < range.end; ++t) s.reads.push_back({.token = t - 1});
  s.role = sample;
  return s;
}

/// Sums of a token's numbers over each answer. [S] double
Tensor by_answer(const Tensor& values, const Tensor& begin) {
  const Tensor sums = at::cat({at::zeros({1}, at::kDouble), values.to(at::kDouble).cumsum(0)});  // [M + 1]
  const int64_t answers = begin.size(0) - 1;
  return sums.index_select(0, begin.narrow(0, 1, answers)) -
         sums.index_select(0, begin.narrow(0, 0, answers));
}

}  // namespace

void RolloutConfig::describe(Fields& f) {
  f("response_length", response_length, "tokens of an answer at most", at_least(1));
  f("stop_token_id", stop_token_id, "token that ends an answer; null: the model's end tokens", at_least(0));
  f("temperature", temperature, "of sampling; log-probs of policy and reference are those at it", positive());
  f("num_generations", num_generations, "answers to each prompt in an iteration", within(1, 1 << 16));
  f("num_ppo_epochs", num_ppo_epochs, "passes over the answers of an iteration", within(1, 1 << 14));
  f("num_mini_batches", num_mini_batches, "optimizer steps a pass; divides batch_size", within(1, 1 << 14));
  f("local_rollout_forward_batch_size", local_rollout_forward_batch_size,
    "answers that a rank decodes at once; changes speed and memory alone", at_least(1));
  f("missing_eos_penalty", missing_eos_penalty,
    "taken from the score of an answer without an end; null: nothing");
  f("missing_eos_score", missing_eos_score,
    "what an answer without an end gets instead of its score; null: its score");
  f("score_clip", score_clip, "scores are cut to -score_clip .. score_clip; 0: not", non_negative());
  f("kl_coef", kl_coef,
    "penalty on the KL from the reference in the reward, a nat; where kl_target is given, at first",
    non_negative());
  f("kl_target", kl_target, "nats an answer that kl_coef is steered to; 0: kl_coef stays", non_negative());
  f("kl_horizon", kl_horizon, "answers in which kl_coef may change by a factor of 1.2", positive());
  f("kl_estimator", kl_estimator, "of a token's KL in the reward", one_of({"k1", "k2", "k3"}));
  f("whiten_rewards", whiten_rewards,
    "scale the tokens' rewards of an iteration to variance 1, their mean kept");
  f("whiten_advantages", whiten_advantages, "advantages of an iteration to mean 0 and variance 1");
  f("gamma", gamma, "discount a token", within(0, 1));
  f("lam", lam, "lambda of generalised advantage estimation", within(0, 1));
}

void RolloutConfig::check(int64_t prompts) const {
  if (prompts % num_mini_batches != 0)
    fail("num_mini_batches=", num_mini_batches,
         " must divide the prompts of an iteration, batch_size=", prompts);
  if (missing_eos_penalty && missing_eos_score)
    fail("missing_eos_penalty=", *missing_eos_penalty, " and missing_eos_score=", *missing_eos_score,
         " are two rules for answers without an end; give one");
  if (kl_target == 0) return;
  if (kl_coef == 0)
    fail("kl_target=", kl_target, " steers kl_coef by factors, and kl_coef=0 stays 0; give more than 0");
  const auto answers = static_cast<double>(prompts * num_generations);
  if (0.2 * answers >= kl_horizon)
    fail("kl_horizon=", kl_horizon, " would let an iteration of ", prompts * num_generations,
         " answers take kl_coef to 0 or below; give more than ", 0.2 * answers);
}

std::vector<int64_t> RolloutConfig::stop() const {
  return stop_token_id ? std::vector{*stop_token_id} : std::vector<int64_t>();
}

double RolloutConfig::credited(double score, bool ended) const {
  if (score_clip > 0) score = std::clamp(score, -score_clip, score_clip);
  return ended ? score : missing_eos_score.value_or(score - missing_eos_penalty.value_or(0));
}

/// The answers of an iteration end to end.
struct RolloutSource::Flat {
  Tensor begin;                   // [S + 1] int64
  Tensor tokens;                  // [M] int64
  Tensor logp, reference, value;  // [M] float; the last two once the models were asked
  Tensor score, ended, entropy;   // [S] double; the entropies of an answer's draws added up
  Tensor advantage, returns;      // [M] float, once credit was given

  Flat(const std::vector<Answers>& said, const RolloutConfig& config) {
    std::vector<int64_t> begins = {0}, ids;
    std::vector<float> logps;
    std::vector<double> scores, ends, entropies;
    for (const Answers& group : said) {
      for (const Answer& answer : group) {
        ids.insert(ids.end(), answer.tokens.begin(), answer.tokens.end());
        logps.insert(logps.end(), answer.logprobs.begin(), answer.logprobs.end());
        begins.push_back(static_cast<int64_t>(ids.size()));
        scores.push_back(config.credited(answer.reward, answer.ended));
        ends.push_back(answer.ended ? 1 : 0);
        entropies.push_back(std::accumulate(answer.entropies.begin(), answer.entropies.end(), 0.0));
      }
    }
    begin = tensor_of(begins, at::kLong);
    tokens = tensor_of(ids, at::kLong);
    logp = tensor_of(logps, at::kFloat);
    score = tensor_of(scores, at::kDouble);
    ended = tensor_of(ends, at::kDouble);
    entropy = tensor_of(entropies, at::kDouble);
    for (Tensor* column : {&reference, &value}) *column = at::zeros_like(logp);
  }
  int64_t answers() const { return begin.size(0) - 1; }
  int64_t first(int64_t answer) const { return begin.const_data_ptr<int64_t>()[answer]; }
  std::vector<int32_t> answer(int64_t i) const {
    const auto* ids = tokens.const_data_ptr<int64_t>();
    return {ids + first(i), ids + first(i + 1)};
  }
  /// A column's numbers of the answers to each question.
  std::vector<ScoredColumn> by_question(const Tensor& column, int64_t samples) const {
    const auto* values = column.const_data_ptr<float>();
    std::vector<ScoredColumn> result;
    for (int64_t i = 0; i < answers(); i += samples)
      result.emplace_back(values + first(i), values + first(i + samples));
    return result;
  }
};

RolloutSource::RolloutSource(const RolloutConfig& config, const RecordOrder& order,
                             std::vector<Question> questions, RolloutModels models,
                             const KlController& controller, Team& team)
    : config_(config),
      order_(order),
      questions_(std::move(questions)),
      models_(std::move(models)),
      controller_(controller),
      team_(team) {
  iteration_.steps = config_.steps();
  if (questions_.empty()) fail("rollouts want at least one prompt, and there is none");
  config_.check(order_.batch_size);
}

std::vector<Question> RolloutSource::questions_of(int64_t iteration) const {
  std::vector<Question> asked;
  for (int64_t i = 0; i < order_.batch_size; ++i) {
    const auto place = static_cast<uint64_t>(iteration * order_.batch_size + i);
    const auto count = static_cast<uint64_t>(questions_.size());
    asked.push_back(questions_[order_.shuffle ? record_at(order_.seed, place, count) : place % count]);
    asked.back().record = place;  // a prompt asked twice is answered anew
  }
  return asked;
}

/// Fills in what models say of this rank's answers, those that it sampled; the rest stays 0.
void RolloutSource::read_models(const std::vector<int64_t>& mine, const std::vector<Record>& records,
                                Flat& flat) const {
  if (records.empty()) return;
  RecordOrder order = order_;
  order.batch_size = static_cast<int64_t>(records.size());
  const RecordSource source(std::make_shared<const std::vector<Record>>(records), order,
                            models_.policy->device());
  const auto fill = [&](Tensor& column, Axis axis, const std::function<Tensor(const Batch&)>& read) {
    const std::vector<ScoredColumn> read_in = read_columns(source, axis, read);
    for (std::size_t i = 0; i < mine.size(); ++i)
      std::ranges::copy(read_in[i],
                        column.mutable_data_ptr<float>() + flat.first(mine[i] * config_.num_generations));
  };
  fill(flat.reference, Axis::scored,
       [&](const Batch& batch) { return token_logp(*models_.reference, batch, config_.temperature); });
  fill(flat.value, Axis::reads, [&](const Batch& batch) {
    return models_.value->values(batch, [&] { return models_.policy->hidden(batch); });
  });
}

RolloutSource::Flat RolloutSource::roll_out(int64_t iteration, const std::vector<Question>& asked) const {
  const GenerateOptions options{.max_new_tokens = config_.response_length,
                                .temperature = config_.temperature,
                                .n = config_.num_generations,
                                .batch_size = config_.local_rollout_forward_batch_size,
                                .tempered = true,
                                .entropies = true,
                                .seed = order_.seed,
                                .step = static_cast<uint64_t>(iteration),
                                .stop = config_.stop()};
  const std::vector<Answers> said =
      sample_answers(*models_.policy, models_.tokenizer, asked, options, models_.score, team_, progress);
  Flat flat(said, config_);
  const std::vector<int64_t> mine = dealt(asked, team_);
  std::vector<Record> records;
  for (const int64_t i : mine) {
    const auto place = static_cast<std::size_t>(i);
    Record record;
    for (const Answer& answer : said[place])
      record.push_back(sequence_of(asked[place], answer.tokens, static_cast<int64_t>(record.size())));
    records.push_back(std::move(record));
  }
  read_models(mine, records, flat);
  std::vector<Tensor> read = {flat.reference, flat.value};
  team_.reduce(read);
  return flat;
}

void RolloutSource::take_credit(Flat& flat) {
  const int64_t answers = flat.answers();
  const double coefficient = controller_.coefficient();
  const Tensor ratio = flat.logp.to(at::kDouble) - flat.reference.to(at::kDouble);                   // [M]
  const Tensor kl = kl_estimate(config_.kl_estimator, ratio);                                        // [M]
  Tensor reward = token_rewards(kl, flat.score, flat.begin.narrow(0, 1, answers) - 1, coefficient);  // [M]
  if (config_.whiten_rewards) reward = whiten(reward, /*shift_mean=*/false);
  const Advantages advantages =
      gae(reward.to(at::kFloat), flat.value, flat.begin, config_.gamma, config_.lam);
  flat.advantage =
      config_.whiten_advantages ? whiten(advantages.advantage, /*shift_mean=*/true) : advantages.advantage;
  flat.returns = advantages.returns;

  const auto mean = [&](const Tensor& each) { return sum_in_order(each) / static_cast<double>(answers); };
  const Tensor answer_kl = by_answer(kl, flat.begin);  // [S]
  iteration_.kl = mean(answer_kl);
  iteration_.episodes = static_cast<double>(answers);
  iteration_.gap = by_answer(ratio, flat.begin).abs().max().item<double>();
  iteration_.gap_of_tokens = by_answer(ratio.abs(), flat.begin).max().item<double>();
  iteration_.metrics = {
      {"objective/kl", iteration_.kl},
      {"objective/kl_coef", coefficient},
      {"objective/entropy", -mean(by_answer(flat.logp, flat.begin))},
      {"objective/entropy_per_token", sum_in_order(flat.entropy) / static_cast<double>(flat.first(answers))},
      {"objective/non_score_reward", -coefficient * iteration_.kl},
      {"objective/scores", mean(flat.score)},
      {"objective/rlhf_reward", mean(flat.score) - coefficient * iteration_.kl},
      {"objective/length", static_cast<double>(flat.first(answers)) / iteration_.episodes},
      {"val/num_eos_tokens", flat.ended.sum().item<double>()},
      {"episode", static_cast<double>((iteration_.index + 1) * answers)}};
}

void RolloutSource::make(int64_t iteration) {
  const c10::NoGradGuard frozen;
  const auto begin = std::chrono::steady_clock::now();
  const int64_t samples = config_.num_generations;
  const std::vector<Question> asked = questions_of(iteration);
  Flat flat = roll_out(iteration, asked);
  iteration_.index = iteration;
  take_credit(flat);
  auto records = std::make_shared<std::vector<Record>>();
  for (int64_t i = 0; i < order_.batch_size; ++i) {
    Record record;
    for (int64_t s = 0; s < samples; ++s)
      record.push_back(sequence_of(asked[static_cast<std::size_t>(i)], flat.answer(i * samples + s), s));
    records->push_back(std::move(record));
  }
  RecordOrder order = order_;
  order.batch_size = order_.batch_size / config_.num_mini_batches;
  order.shuffle = true;
  const auto bits = random_bits(
      {.seed = order_.seed, .step = static_cast<uint64_t>(iteration), .site = random_site::kMinibatch});
  order.seed = uint64_t{bits[1]} << 32 | bits[0];
  minibatches_ = std::make_unique<RecordSource>(std::move(records), order, models_.policy->device());
  for (const auto& [name, column] : {std::pair("old_logp", flat.logp), std::pair("advantage", flat.advantage),
                                     std::pair("value", flat.value), std::pair("returns", flat.returns)})
    minibatches_->attach(name, flat.by_question(column, samples));
  seconds_ = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Plan RolloutSource::plan(int64_t step) {
  const int64_t iteration = (step - 1) / iteration_.steps;
  if (iteration != iteration_.index) make(iteration);
  Plan plan = minibatches_->plan((step - 1) % iteration_.steps + 1);
  plan.step = step;
  return plan;
}

Batch RolloutSource::batch(int64_t step, const Slot& slot) { return minibatches_->batch(step, slot); }

}  // namespace prefer
