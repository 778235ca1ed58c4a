// The reward objective on rankings of up to seven answers to one prompt, on a tiny model: cuts, orders and
// sharing change nothing; gradients and metrics are right.
#include "prefer/batch/record_source.hpp"
#include "prefer/objectives/reward.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/step.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>

namespace prefer {
namespace {

using testing::Outcome;

std::shared_ptr<RewardModel> tiny_reward_model() {
  const auto model = testing::tiny_model(at::kDouble);
  model->train();
  return std::make_shared<RewardModel>(with_score_head(*model, {5}));
}

constexpr int64_t kAnswers = 7;

/// Record i has 7 answers, or 7 - i % 3 where `fewer`; the second begins as the first does, and every third
/// record has a tie.
std::shared_ptr<const std::vector<Record>> rankings(int64_t n, bool fewer) {
  auto result = std::make_shared<std::vector<Record>>();
  for (int64_t i = 0; i < n; ++i) {
    const int64_t prompt = 3 + i % 4, answers = kAnswers - (fewer ? i % 3 : 0);
    Record record;
    for (int64_t k = 0; k < answers; ++k) {
      Sequence s;
      const auto put = [&](int64_t token) { s.tokens.push_back(static_cast<int32_t>(token % 23)); };
      for (int64_t t = 0; t < prompt; ++t) put(7 * i + 5 * t * t + 3);
      put(k < 2 ? 11 : 11 + k);
      for (int64_t t = 0; t < 1 + (i + k) % 3; ++t) put(3 * i + 13 * k + 2 * t + 1);
      s.role = k;
      s.reads = {{static_cast<int64_t>(s.tokens.size()) - 1}};
      const int64_t rank = 1 + (k * 3 + i) % answers;
      s.grade = {static_cast<float>(i % 3 == 2 && rank == 2 ? 1 : rank)};
      s.share = i % 3 == 0 ? 0.5F : 1.0F;
      record.push_back(s);
    }
    result->push_back(record);
  }
  return result;
}

Outcome step(Objective& objective, const RecordOrder& order, bool backwards = false) {
  RecordSource source(rankings(order.batch_size, true), order);
  return testing::step(objective, source, {}, backwards);
}

TEST(Rankings, AnyCutAnyOrderAndSharingOrNotGiveOneLossAndGradient) {
  const auto model = tiny_reward_model();
  RewardObjective objective(model, PlackettLuce{});
  const Outcome whole = step(objective, {.batch_size = 9, .share_prefixes = false});
  EXPECT_NEAR(whole.metrics.at("loss"), whole.loss, 1e-12);
  for (const bool backwards : {false, true}) {
    for (const bool share : {false, true}) {
      for (const int64_t tokens : {1, 150, 100000}) {
        const RecordOrder order{.batch_size = 9, .share_prefixes = share, .tokens_per_slot = tokens};
        expect_same(step(objective, order, backwards), whole);
      }
    }
  }
}

TEST(Rankings, TheGradientOfAStepOfSevenAnswersToOnePromptIsThatOfFiniteDifferences) {
  const auto model = tiny_reward_model();
  RewardObjective objective(model, PlackettLuce{});
  RecordSource source(rankings(4, false), {.batch_size = 4, .tokens_per_slot = 60});
  const Plan plan = source.plan(1);
  ASSERT_GT(plan.slots.size(), 1U);
  std::vector<Batch> batches;
  for (const Slot& slot : plan.slots) batches.push_back(source.batch(1, slot));
  const auto loss = [&] {
    Tensor sum = at::zeros({}, at::kDouble);
    for (const Batch& batch : batches) sum = sum + objective(batch, {}).divided_by(plan.total());
    return sum;
  };
  loss().backward();
  for (const Parameter& p : model->parameters()) {
    const Tensor row = p.value.detach().narrow(0, 0, 1).view({-1});  // the first of every weight
    const Tensor numeric = testing::finite_differences(loss, row);
    const Tensor given = p.value.grad().narrow(0, 0, 1).reshape({-1});
    EXPECT_LT((given - numeric).abs().max().item<double>(), 1e-7) << p.name;
  }
}

TEST(Rankings, ThePromptOfSevenAnswersIsLaidOutOnce) {
  const auto records = rankings(1, false);
  const Record& seven = records->front();
  int64_t apart = 0;
  for (const Sequence& s : seven) apart += static_cast<int64_t>(s.tokens.size());
  // Six times the prompt's three tokens, and the token with which the second answer begins as the first does.
  EXPECT_EQ(forest_tokens(seven, Sharing::on), apart - 6 * 3 - 1);
}

TEST(Rankings, AreTheScoresAndRanksOfTheirAnswers) {
  const auto model = tiny_reward_model();
  const auto records = rankings(3, true);  // of 7, 6 and 5 answers
  RecordSource source(records, {.batch_size = 3, .shuffle = false});
  const Batch batch = source.batch(1, source.plan(1).slots.front());
  const ScoredGroups groups = scored_groups(batch, RewardObjective(model, PlackettLuce{}).scores(batch));
  ASSERT_EQ(groups.score.sizes().vec(), (std::vector<int64_t>{3, kAnswers}));
  for (std::size_t i = 0; i < records->size(); ++i) {
    const Record& record = (*records)[i];
    EXPECT_EQ(groups.share[static_cast<int64_t>(i)].item<double>(), record.front().share);
    for (std::size_t k = 0; k < kAnswers; ++k) {
      const auto at = [&](const Tensor& grid) {
        return grid[static_cast<int64_t>(i)][static_cast<int64_t>(k)].item<double>();
      };
      if (k >= record.size()) {
        EXPECT_TRUE(std::isnan(at(groups.rank)));
        continue;
      }
      const Batch alone = make_batch(make_forest(std::span(&record[k], 1), Sharing::off));
      EXPECT_NEAR(at(groups.score), model->scores(alone).item<double>(), 1e-12);
      EXPECT_EQ(at(groups.rank), record[k].grade[0]);
    }
  }
}

TEST(Rankings, MetricsAreOfAllPairsThatAreNotTied) {
  const auto grid = [](std::vector<double> values) { return tensor_of(values, at::kDouble).view({2, 3}); };
  // Gaps of better and worse: 2 - 1, 2 - 2 and 1 - 2 with share 1; 3 - 5 and 4 - 5 with share 2.
  const ScoredGroups groups{grid({2, 1, 2, 3, 4, 5}), grid({1, 2, 3, 1, 1, 3}),
                            tensor_of(std::vector<double>{1, 2}, at::kDouble)};
  const Loss loss = reward_loss(PlackettLuce{}, groups);
  const auto metrics = loss.metrics.values();
  EXPECT_DOUBLE_EQ(metrics.at("accuracy"), (1 + 0.5) / 7);
  EXPECT_DOUBLE_EQ(metrics.at("margin"), (1 + 0 - 1 - 2 * (2 + 1)) / 7.0);
  EXPECT_DOUBLE_EQ(metrics.at("mean_reward"), (5 + 2 * 12) / 9.0);
  EXPECT_EQ(loss.terms.front().per, "groups");
}

TEST(Rankings, OfTwoAnswersTrainAsPairsDo) {
  const auto model = tiny_reward_model();
  auto two = std::make_shared<std::vector<Record>>(*rankings(6, false));
  for (Record& record : *two) {
    record.resize(2);
    for (Sequence& s : record) s.grade = {static_cast<float>(s.role + 1), NAN};
  }
  RecordSource source(two, {.batch_size = 6});
  const Batch batch = source.batch(1, source.plan(1).slots.front());
  const auto metrics = [&](const RewardLoss& loss) {
    return RewardObjective(model, loss)(batch, {}).metrics.values();
  };
  const auto pairs = metrics(BradleyTerry{}), groups = metrics(PlackettLuce{});
  ASSERT_EQ(pairs.size(), groups.size());
  for (const auto& [name, value] : pairs) EXPECT_NEAR(groups.at(name), value, 1e-14) << name;
}

TEST(Rankings, WantDistinctRoles) {
  auto twice = std::make_shared<std::vector<Record>>(*rankings(1, false));
  (*twice)[0][3].role = 2;
  RecordSource source(twice, {.batch_size = 1});
  RewardObjective objective(tiny_reward_model(), PlackettLuce{});
  EXPECT_EQ(
      testing::error_of([&] { objective(source.batch(1, source.plan(1).slots.front()), {}); }),
      "a loss on rankings wants answers of distinct roles in each group; there are 7 answers in 1 groups, "
      "and two of one role");
}

}  // namespace
}  // namespace prefer
