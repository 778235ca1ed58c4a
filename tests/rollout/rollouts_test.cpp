// Rollouts on a tiny model: promised bits, advantages against fp64 by hand, purity, order, cuts and ranks.
#include "prefer/rollout/rollouts.hpp"

#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"
#include "prefer/objectives/ppo.hpp"
#include "prefer/ops/linear_logprob.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/error.hpp"
#include "support/invariance.hpp"
#include "support/tiny_run.hpp"
#include "tests/train/tiny.hpp"

#include <ATen/ops/nonzero.h>

#include <gtest/gtest.h>

#include <cmath>
#include <set>

namespace prefer::testing {
namespace {

RolloutConfig config() {
  RolloutConfig config;
  config.response_length = 7;
  config.temperature = 0.8;
  config.num_generations = 3;
  config.num_ppo_epochs = 2;
  config.num_mini_batches = 2;
  config.kl_coef = 0.3;
  return config;
}

std::vector<Question> questions() {
  std::vector<Question> all;
  for (int32_t i = 0; i < 9; ++i) {
    Question question{{}, std::to_string(i), static_cast<uint64_t>(i)};
    for (int32_t k = 0; k < 2 + i % 4; ++k) question.tokens.push_back((5 * i + 3 * k) % 23);
    all.push_back(question);
  }
  return all;
}

/// A score that every answer has its own of: its letters, counted one way or the other.
double letters(const std::string&, const std::string& answer) {
  double score = 0;
  for (const char c : answer) score += c < 'h' ? 1.0 : -0.5;
  return score;
}

struct World {
  explicit World(const RolloutConfig& config, const RecordOrder& order, Team& team,
                 uint64_t reference_seed = 1)
      : source(config, order, questions(), models(reference_seed), controller, team) {}

  RolloutModels models(uint64_t reference_seed) {
    const TinyRun run;
    policy = tiny_model(at::kFloat, tiny_config(), 1);
    reference = tiny_model(at::kFloat, tiny_config(), reference_seed)->frozen();
    const auto network = value_network(*tiny_model(at::kFloat, tiny_config(), 3));
    Tensor(network->transformer().weights().at("score.weight")).fill_(0.1);
    value = std::make_shared<OwnValueModel>(network);
    return {policy, reference, value, load_tokenizer(run.model), each(letters)};
  }

  std::shared_ptr<Transformer> policy, reference;
  std::shared_ptr<ValueModel> value;
  KlController controller{0.3, 0, 1};
  RolloutSource source;
};

const RecordOrder kOrder{.batch_size = 4, .seed = 11};

/// Every token of a step, and every number of it, in the order of the plan.
NamedTensors everything(RolloutSource& source, int64_t step) {
  std::map<std::string, std::vector<Tensor>> parts;
  for (const Slot& slot : source.plan(step).slots) {
    const Batch batch = source.batch(step, slot);
    parts["label"].push_back(batch.label);
    for (const char* name : {"old_logp", "advantage", "value", "returns"})
      parts[name].push_back(batch.column(name));
  }
  NamedTensors all;
  for (const auto& [name, tensors] : parts) all[name] = at::cat(tensors);
  return all;
}

TEST(Rollouts, TheFirstMinibatchHasRatiosOfOneAndTheFirstIterationNoKlToTheBit) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  Alone team;
  World world(config(), kOrder, team);
  for (const int64_t step : {1, 5}) {
    for (const Slot& slot : world.source.plan(step).slots) {
      const Batch batch = world.source.batch(step, slot);
      EXPECT_TRUE(at::equal(token_logp(*world.policy, batch, 0.8), batch.column("old_logp")));
      EXPECT_TRUE(at::equal(world.value->values(batch, {}), batch.column("value")));
    }
    EXPECT_EQ(world.source.iteration().gap_of_tokens, 0);
    EXPECT_EQ(world.source.iteration().kl, 0);
  }
}

TEST(Rollouts, TheEntropyOfTheDrawsIsThatOfTheFirstMinibatch) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  RolloutConfig knobs = config();
  knobs.num_mini_batches = 1;
  Alone team;
  World world(knobs, kOrder, team);
  const Plan plan = world.source.plan(1);
  ASSERT_EQ(plan.slots.size(), 1u);
  const Batch batch = world.source.batch(1, plan.slots[0]);
  const Tensor hidden = world.policy->hidden(batch).index_select(0, batch.row);
  const Logprobs trained =
      linear_logprob(hidden, world.policy->head(), batch.label, {.temperature = 0.8, .entropy = true});
  EXPECT_NEAR(world.source.iteration().metrics.at("objective/entropy_per_token"),
              trained.entropy.to(at::kDouble).mean().item<double>(), 1e-12);
}

TEST(Rollouts, TheObjectiveFindsItsIdentitiesHeld) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  Alone team;
  World world(config(), kOrder, team);
  world.policy->train();
  PpoObjective objective(world.policy, world.value, {.temperature = 0.8}, world.source.iteration(),
                         world.controller);
  const Plan plan = world.source.plan(1);
  const auto prepared = objective.prepare(plan, world.source, team);
  const Loss loss = objective(world.source.batch(1, plan.slots[0]), prepared);
  ASSERT_EQ(loss.identities.size(), 2u);
  for (const Identity& identity : loss.identities)
    EXPECT_EQ(identity.measured, identity.expected) << identity.name;
  EXPECT_EQ(loss.metrics.values().at("val/ratio"), 1);
  EXPECT_EQ(loss.metrics.values().at("policy/clipfrac_avg"), 0);
}

/// By which estimator, and what is whitened: rewards, advantages.
class Credit : public ::testing::TestWithParam<std::tuple<std::string, bool, bool>> {};
INSTANTIATE_TEST_SUITE_P(Knobs, Credit,
                         ::testing::Combine(::testing::Values("k1", "k2", "k3"), ::testing::Bool(),
                                            ::testing::Bool()));

TEST_P(Credit, AdvantagesAndReturnsAreThoseOfEquation16InDouble) {
  const auto& [estimator, whiten_rewards, whiten_advantages] = GetParam();
  RolloutConfig knobs = config();
  knobs.num_mini_batches = 1;
  knobs.missing_eos_penalty = 1.5;
  knobs.score_clip = 2;
  knobs.kl_estimator = estimator;
  knobs.whiten_rewards = whiten_rewards;
  knobs.whiten_advantages = whiten_advantages;
  knobs.gamma = 0.98;
  Alone team;
  World world(knobs, kOrder, team, /*reference_seed=*/2);
  const Plan plan = world.source.plan(1);
  ASSERT_EQ(plan.slots.size(), 1u);
  const Batch batch = world.source.batch(1, plan.slots[0]);
  const Tensor reference = token_logp(*world.reference, batch, 0.8);
  const auto number = [&](const Tensor& of, int64_t m) { return of[m].item<double>(); };
  const int64_t count = batch.scored();
  std::vector<double> reward, advantage(static_cast<size_t>(count));
  const auto tokenizer = load_tokenizer(TinyRun().model);
  double score = 0, scores = 0, kls = 0, steepest = 1;
  for (int64_t m = 0; m < count; ++m) {
    const auto id = batch.label[m].item<int32_t>();
    const std::string letter = id == 2 ? "" : tokenizer->decode(std::vector<int32_t>{id});
    score += letter.empty() ? 0 : letters("", letter);
    const bool last = m + 1 == count || number(batch.sequence, m + 1) != number(batch.sequence, m);
    const double q = number(batch.column("old_logp"), m) - number(reference, m);
    const double kl = estimator == "k1" ? q : estimator == "k2" ? q * q / 2 : std::exp(-q) - 1 + q;
    const double slope = estimator == "k1" ? 1 : estimator == "k2" ? q : 1 - std::exp(-q);
    steepest = std::max(steepest, std::abs(slope));
    kls += kl;
    const double paid = std::clamp(score, -2.0, 2.0) - (id == 2 ? 0 : 1.5);
    reward.push_back(-0.3 * kl + (last ? paid : 0));
    if (last) scores += paid, score = 0;
  }
  // Two forwards of seven tokens, where this CPU keeps no bits; an estimate moves by its slope.
  const double near = 7 * 2e-5 * steepest;
  EXPECT_NEAR(world.source.iteration().metrics.at("objective/scores"), scores / 12, 1e-9);
  EXPECT_NEAR(world.source.iteration().kl, kls / 12, near);
  if (whiten_rewards) {
    double mean = 0, square = 0;
    for (const double r : reward) mean += r / static_cast<double>(count);
    for (const double r : reward) square += (r - mean) * (r - mean) / static_cast<double>(count - 1);
    for (double& r : reward) r = (r - mean) / std::sqrt(square + 1e-8) + mean;
  }
  double next = 0, later = 0, mean = 0, square = 0;
  for (int64_t m = count - 1; m >= 0; --m) {
    if (m + 1 == count || number(batch.sequence, m + 1) != number(batch.sequence, m)) next = later = 0;
    const double v = number(batch.column("value"), m);
    later = reward[static_cast<size_t>(m)] + 0.98 * next - v + 0.98 * 0.95 * later;
    next = v;
    advantage[static_cast<size_t>(m)] = later;
    EXPECT_NEAR(number(batch.column("returns"), m), later + v, near);
    mean += later / static_cast<double>(count);
  }
  for (const double a : advantage) square += (a - mean) * (a - mean) / static_cast<double>(count - 1);
  for (int64_t m = 0; m < count; ++m) {
    const double white = (advantage[static_cast<size_t>(m)] - mean) / std::sqrt(square + 1e-8);
    const double given = whiten_advantages ? white : advantage[static_cast<size_t>(m)];
    EXPECT_NEAR(number(batch.column("advantage"), m), given, near);
  }
}

TEST(Rollouts, AnIterationIsPureAndDrawsAnew) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  Alone team;
  World one(config(), kOrder, team), two(config(), kOrder, team);
  const NamedTensors first = everything(one.source, 1), fifth = everything(one.source, 5);
  EXPECT_TRUE(same_bits(everything(two.source, 5), fifth));  // without the iteration before it
  EXPECT_TRUE(same_bits(everything(two.source, 1), first));
  EXPECT_FALSE(same_bits(first, fifth));
}

TEST(Rollouts, AnEpochSeesEveryAnswerOnceInAnOrderOfItsOwn) {
  Alone team;
  World world(config(), kOrder, team);
  std::vector<std::vector<int64_t>> orders;
  for (const int64_t epoch : {0, 1}) {
    std::vector<int64_t> order;
    for (const int64_t step : {1 + 2 * epoch, 2 + 2 * epoch}) {
      const Plan plan = world.source.plan(step);
      EXPECT_EQ(plan.total().at("sequences"), 6);
      for (const Slot& slot : plan.slots) order.insert(order.end(), slot.records.begin(), slot.records.end());
    }
    EXPECT_EQ(std::set<int64_t>(order.begin(), order.end()).size(), 4u);
    orders.push_back(order);
  }
  EXPECT_NE(orders[0], orders[1]);
}

TEST(Rollouts, CutsAndSharingChangeNoBit) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  Alone team;
  World whole(config(), kOrder, team);
  const NamedTensors expected = everything(whole.source, 2);
  for (const bool share : {false, true}) {
    RecordOrder order = kOrder;
    order.tokens_per_slot = 1, order.share_prefixes = share;
    World cut(config(), order, team);
    EXPECT_TRUE(same_bits(everything(cut.source, 2), expected));
  }
}

TEST(Rollouts, EveryRankHasAllOfThemAndTheBitsOfOneRank) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  Alone alone;
  World one(config(), kOrder, alone);
  const NamedTensors expected = everything(one.source, 2);
  for (const int size : {2, 3, 5}) {  // of five ranks one samples nothing
    std::vector<NamedTensors> seen(static_cast<size_t>(size));
    Threads(size).run([&](Team& team) {
      World world(config(), kOrder, team);
      seen[static_cast<size_t>(team.rank())] = everything(world.source, 2);
    });
    for (const NamedTensors& rank : seen) EXPECT_TRUE(same_bits(rank, expected));
  }
}

TEST(Rollouts, APromptAskedTwiceIsAnsweredAnew) {
  RecordOrder order = kOrder;
  order.batch_size = 18, order.shuffle = false;
  RolloutConfig knobs = config();
  knobs.num_mini_batches = 1;
  Alone team;
  World world(knobs, order, team);
  world.source.plan(1);
  std::map<std::vector<int64_t>, int> answers;
  const Plan plan = world.source.plan(1);
  for (const Slot& slot : plan.slots) {
    const Batch batch = world.source.batch(1, slot);
    for (int64_t s = 0; s < batch.sequences(); ++s) {
      const Tensor tokens = batch.label.index_select(0, at::nonzero(batch.sequence == s).squeeze(1));
      const auto* ids = tokens.const_data_ptr<int64_t>();
      ++answers[{ids, ids + tokens.size(0)}];
    }
  }
  EXPECT_GT(answers.size(), 40u);  // of 54, some are short
}

TEST(Rollouts, RefuseWhatCannotBe) {
  Alone team;
  RolloutConfig odd = config();
  odd.num_mini_batches = 3;
  EXPECT_EQ(error_of([&] { World(odd, kOrder, team); }),
            "num_mini_batches=3 must divide the prompts of an iteration, batch_size=4");
  World world(config(), kOrder, team);
  auto models = world.models(1);
  models.score = [](std::span<const Answer>) { return std::vector<double>{1}; };
  RolloutSource few(config(), kOrder, questions(), models, world.controller, team);
  EXPECT_EQ(error_of([&] { few.plan(1); }), "a reward wants a number for each of 12 answers, and gave 1");
  models.score = each([](const std::string&, const std::string&) { return std::nan(""); });
  RolloutSource bad(config(), kOrder, questions(), models, world.controller, team);
  EXPECT_NE(error_of([&] { bad.plan(1); }).find("must be finite"), std::string::npos);
}

}  // namespace
}  // namespace prefer::testing
