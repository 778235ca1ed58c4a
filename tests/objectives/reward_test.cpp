// The reward objective on a tiny model: cuts, orders and sharing change nothing; gradients and metrics are
// right.
#include "prefer/objectives/reward.hpp"

#include "prefer/batch/record_source.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/pairs.hpp"
#include "support/step.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

using testing::Outcome;

std::shared_ptr<RewardModel> tiny_reward_model() {
  const auto model = testing::tiny_model(at::kDouble);
  return std::make_shared<RewardModel>(with_score_head(*model, {5}));
}

/// Pairs read at their ends, with margins.
std::shared_ptr<const std::vector<Record>> judged(int64_t n) {
  auto result = std::make_shared<std::vector<Record>>(*testing::records(n));
  for (std::size_t i = 0; i < result->size(); ++i) {
    for (Sequence& s : (*result)[i]) {
      s.scored.clear();
      s.reads = {{static_cast<int64_t>(s.tokens.size()) - 1}};
      s.grade = {NAN, 0.25f * static_cast<float>(i % 3)};
    }
  }
  return result;
}

constexpr BradleyTerry kLoss{.use_margin = true, .center_rewards_coefficient = 0.2};

Outcome step(const RecordOrder& order, bool backwards = false) {
  const auto model = tiny_reward_model();
  model->transformer().train();
  RecordSource source(judged(12), order);
  RewardObjective objective(model, kLoss);
  return testing::step(objective, source, {}, backwards);
}

TEST(RewardObjective, AnyCutAnyOrderAndSharingOrNotGiveOneLossAndGradient) {
  const Outcome whole = step({.batch_size = 12, .share_prefixes = false});
  EXPECT_NEAR(whole.metrics.at("loss"), whole.loss, 1e-12);
  for (const bool backwards : {false, true}) {
    for (const bool share : {false, true}) {
      for (const int64_t tokens : {1, 40, 100000}) {
        const RecordOrder order{.batch_size = 12, .share_prefixes = share, .tokens_per_slot = tokens};
        expect_same(step(order, backwards), whole);
      }
    }
  }
}

TEST(RewardObjective, PairsAreTheScoresOfTheirSides) {
  const auto model = tiny_reward_model();
  const auto records = judged(4);
  RecordSource source(records, {.batch_size = 4, .shuffle = false});
  const Batch batch = source.batch(1, source.plan(1).slots.front());
  const ScoredPairs pairs = scored_pairs(batch, RewardObjective(model, kLoss).scores(batch));
  for (std::size_t i = 0; i < records->size(); ++i) {
    const auto alone = [&](std::size_t side) {
      return model->scores(make_batch(make_forest(std::span(&(*records)[i][side], 1), Sharing::off)))
          .item<double>();
    };
    const auto at = static_cast<int64_t>(i);
    EXPECT_NEAR(pairs.chosen[at].item<double>(), alone(0), 1e-12);
    EXPECT_NEAR(pairs.rejected[at].item<double>(), alone(1), 1e-12);
    EXPECT_EQ(pairs.margin[at].item<double>(), 0.25 * static_cast<double>(i % 3));
  }
}

TEST(RewardObjective, MetricsAreTrlsAndATieCountsHalf) {
  const auto doubles = [](std::vector<double> values) { return tensor_of(values, at::kDouble); };
  const ScoredPairs pairs{doubles({2, 1, 0}), doubles({1, 1, 3}), doubles({0, 0, 0}), doubles({1, 1, 2})};
  const auto metrics = reward_loss(BradleyTerry{}, pairs).metrics.values();
  EXPECT_DOUBLE_EQ(metrics.at("accuracy"), (1 + 0.5 + 0) / 4);
  EXPECT_DOUBLE_EQ(metrics.at("margin"), (1 + 0 - 6) / 4.0);
  EXPECT_DOUBLE_EQ(metrics.at("mean_reward"), (1.5 + 1 + 3) / 4);
}

TEST(RewardObjective, GradientIsThatOfFiniteDifferences) {
  const auto model = tiny_reward_model();
  model->transformer().train();
  RecordSource source(judged(5), {.batch_size = 5});
  const Plan plan = source.plan(1);
  const Batch batch = source.batch(1, plan.slots.front());
  RewardObjective objective(model, kLoss);
  const auto loss = [&] { return objective(batch, {}).divided_by(plan.total()); };
  loss().backward();
  for (const char* name : {"score.weight", "model.layers.1.mlp.down_proj.weight"}) {
    const Tensor weight = model->transformer().weights().at(name);
    const Tensor numeric = testing::finite_differences(loss, weight.detach());
    EXPECT_LE((weight.grad() - numeric).abs().max().item<double>(), 1e-7 * numeric.abs().max().item<double>())
        << name;
  }
}

TEST(RewardObjective, WantsOneReadOfEachSequence) {
  RecordSource source(testing::records(3), {.batch_size = 3});
  const RewardObjective objective(tiny_reward_model(), {});
  EXPECT_EQ(testing::error_of([&] { objective.scores(source.batch(1, source.plan(1).slots.front())); }),
            "a reward is read once of each sequence; there are 6 sequences and 0 reads");
}

}  // namespace
}  // namespace prefer
