// Losses whose terms depend on the whole step: AOT through its gradient cache, KTO through mismatched
// answers.
#include "prefer/batch/mismatched.hpp"
#include "prefer/core/error.hpp"
#include "prefer/losses/aot.hpp"
#include "prefer/losses/dpo.hpp"
#include "prefer/objectives/kto.hpp"
#include "prefer/objectives/preference.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/pairs.hpp"
#include "support/step.hpp"
#include "support/tiny_model.hpp"
#include "tests/train/tiny.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

using testing::Outcome;
using testing::records;
using testing::step;
using testing::tiny_config;
using testing::tiny_model;

/// A policy, a reference that differs, and one step of either loss.
class Coupled : public ::testing::Test {
 protected:
  Coupled() { policy_->train(); }

  NamedTensors prepared(Objective& objective, Source& source) {
    return objective.prepare(source.plan(1), source, team_);
  }
  /// The first row of every weight, moved: the step's loss must follow its gradient.
  void expect_slopes(const Outcome& at, const std::function<double()>& loss) {
    const Parameters parameters = policy_->parameters();
    for (std::size_t i = 0; i < parameters.size(); ++i) {
      const Tensor row = parameters[i].value.detach().narrow(0, 0, 1);
      const Tensor found =
          testing::finite_differences([&] { return at::full({}, loss(), at::kDouble); }, row.view({-1}));
      const Tensor given = at.gradients[i].narrow(0, 0, 1).reshape({-1});
      EXPECT_LT((found - given).abs().max().item<double>(), 1e-7) << parameters[i].name;
    }
  }

  Alone team_;
  std::shared_ptr<Transformer> policy_ = tiny_model(at::kDouble, tiny_config(), 1);
  std::shared_ptr<Transformer> reference_ = tiny_model(at::kDouble, tiny_config(), 2);
};

class AotStep : public Coupled {
 protected:
  PreferenceObjective objective_{policy_, Aot{.beta = 0.3, .label_smoothing = 0.1}, {reference_, false}};
  Outcome cut(int64_t tokens) {
    RecordSource source(records(7), {.batch_size = 7, .tokens_per_slot = tokens});
    return step(objective_, source, prepared(objective_, source));
  }
};

TEST_F(AotStep, AnyCutGivesOneLossAndGradient) {
  const Outcome whole = cut(100000);
  expect_same(cut(1), whole);
  expect_same(cut(40), whole);
}

TEST_F(AotStep, TheGradientIsThatOfTheWholeStep) {
  RecordSource source(records(7), {.batch_size = 7, .tokens_per_slot = 40});
  const Outcome at = step(objective_, source, prepared(objective_, source));
  expect_slopes(at, [&] {
    double sum = 0;
    const NamedTensors now = prepared(objective_, source);
    for (const Slot& slot : source.plan(1).slots)
      sum +=
          objective_(source.batch(1, slot), now).divided_by(objective_.count(source.plan(1))).item<double>();
    return sum;
  });
}

TEST_F(AotStep, WithoutPrepareTheSlotIsRefused) {
  RecordSource source(records(3), {.batch_size = 3});
  EXPECT_NE(
      testing::error_of([&] { objective_(source.batch(1, source.plan(1).slots[0]), {}); }).find("aot wants"),
      std::string::npos);
}

TEST(Aot, ComparesQuantilesNotPairs) {
  const auto side = [](std::vector<double> logp, std::vector<double> reference) {
    return Side{
        tensor_of(logp, at::kDouble), tensor_of(reference, at::kDouble), at::ones({2}, at::kDouble), {}};
  };
  // Margins of the policy 3, 1 and of the reference 0, 2: the pair with the larger margin meets the larger
  // reference.
  const Pairs p{side({3, 1}, {0, 2}), side({0, 0}, {0, 0}), at::ones({2}, at::kDouble)};
  const Tensor loss = Aot{.beta = 0.5}(p);
  EXPECT_NEAR(loss[0].item<double>(), std::log1p(std::exp(-0.5 * (3 - 2))), 1e-12);
  EXPECT_NEAR(loss[1].item<double>(), std::log1p(std::exp(-0.5 * (1 - 0))), 1e-12);
}

/// Single answers, every third undesirable.
std::shared_ptr<const std::vector<Record>> judged(int64_t n) {
  auto result = std::make_shared<std::vector<Record>>();
  const auto pairs = records(n);
  for (const Record& pair : *pairs) {
    Sequence s = pair[result->size() % 2];
    s.role = role::kChosen;
    s.grade = {result->size() % 3 == 2 ? 0.0F : 1.0F};
    result->push_back({s});
  }
  return result;
}

class KtoStep : public Coupled {
 protected:
  KtoObjective objective_{policy_, Kto{.beta = 0.3, .undesirable_weight = 1.5}, {reference_, false}};
  static MismatchedSource source(int64_t tokens) {
    return MismatchedSource(
        std::make_unique<RecordSource>(judged(7), RecordOrder{.batch_size = 7, .tokens_per_slot = tokens}));
  }
};

TEST_F(KtoStep, AnyCutGivesOneLossAndGradient) {
  auto all = source(100000), some = source(40), one = source(1);
  const Outcome whole = step(objective_, all, prepared(objective_, all));
  expect_same(step(objective_, some, prepared(objective_, some)), whole);
  expect_same(step(objective_, one, prepared(objective_, one)), whole);
}

TEST_F(KtoStep, TheKlIsTheMeanRatioOfTheNextRecordsAnswer) {
  auto mismatched = source(40);
  std::vector<int64_t> order;
  for (const Slot& slot : mismatched.plan(1).slots)
    order.insert(order.end(), slot.records.begin(), slot.records.end());
  double ratios = 0, shares = 0;
  for (std::size_t i = 0; i < order.size(); ++i) {
    const Sequence& asked = mismatched.records().records()[order[i]].front();
    const Sequence& answered = mismatched.records().records()[order[(i + 1) % order.size()]].front();
    Sequence s;
    const auto border = asked.scored.front().begin;
    for (int64_t t = 0; t < border; ++t) s.tokens.push_back(asked.tokens[t]);
    for (std::size_t t = answered.scored.front().begin; t < answered.tokens.size(); ++t)
      s.tokens.push_back(answered.tokens[t]);
    s.scored = {{border, static_cast<int64_t>(s.tokens.size())}};
    const Batch alone = make_batch(make_forest(std::vector{s}, Sharing::off));
    const SequenceSums sums = sequence_sums(*policy_, {reference_, false}, alone, true, "kto");
    ratios += asked.share * (sums.logp - sums.reference).item<double>();
    shares += asked.share;
  }
  EXPECT_NEAR(prepared(objective_, mismatched).at("kl").item<double>(), ratios / shares, 1e-12);
}

TEST_F(KtoStep, TheKlHasTheSameBitsOnAnyNumberOfRanks) {
  auto alone = source(1);
  const NamedTensors one = prepared(objective_, alone);
  ASSERT_EQ(alone.plan(1).statistics.size(), 7u);
  for (const int size : {2, 3, 4}) {
    testing::Threads(size).run([&](Team& team) {
      auto mine = source(1);
      KtoObjective objective(tiny_model(at::kDouble, tiny_config(), 1), Kto{},
                             {tiny_model(at::kDouble, tiny_config(), 2), false});
      EXPECT_TRUE(testing::same_bits(objective.prepare(mine.plan(1), mine, team), one)) << size;
    });
  }
}

TEST_F(KtoStep, TheGradientIsThatOfTheStepWithItsKlHeld) {
  auto mismatched = source(40);
  const NamedTensors held{{"kl", at::full({}, 0.7, at::kDouble)}};
  const Outcome at = step(objective_, mismatched, held);
  expect_slopes(at, [&] {
    double sum = 0;
    for (const Slot& slot : mismatched.plan(1).slots)
      sum += objective_(mismatched.batch(1, slot), held)
                 .divided_by(objective_.count(mismatched.plan(1)))
                 .item<double>();
    return sum;
  });
}

TEST(Kto, EquationEight) {
  const Judged answers{tensor_of(std::vector{2.0, -1.0}, at::kDouble),
                       tensor_of(std::vector{1.0, 1.0}, at::kDouble),
                       tensor_of(std::vector{1.0, 0.0}, at::kDouble),
                       {},
                       at::full({}, 0.5, at::kDouble)};
  const auto sigmoid = [](double z) { return 1 / (1 + std::exp(-z)); };
  const Kto loss{.beta = 0.2, .desirable_weight = 1.5, .undesirable_weight = 2};
  const Tensor each = loss(answers);
  EXPECT_NEAR(each[0].item<double>(), 1.5 * (1 - sigmoid(0.2 * (1 - 0.5))), 1e-12);
  EXPECT_NEAR(each[1].item<double>(), 2 * (1 - sigmoid(0.2 * (0.5 + 2))), 1e-12);
  Judged below = answers;
  below.kl = at::full({}, -3.0, at::kDouble);  // an estimate below 0 counts as 0
  EXPECT_NEAR(loss(below)[0].item<double>(), 1.5 * (1 - sigmoid(0.2)), 1e-12);
}

/// Sequences of a step's statistics, in their order.
std::vector<std::vector<int64_t>> statistics_of(MismatchedSource& source) {
  std::vector<std::vector<int64_t>> all;
  for (const Slot& slot : source.plan(1).statistics) {
    const Batch batch = source.batch(1, slot);
    for (const Segment& segment : batch.segments) {
      const auto* token = batch.tokens.const_data_ptr<int64_t>() + segment.begin;
      all.emplace_back(token, token + segment.length);
    }
  }
  return all;
}

TEST(MismatchedSource, CutsAsRecordsAre) {
  const auto make = [&](const LengthOptions& length) {
    return MismatchedSource(std::make_unique<RecordSource>(judged(7), RecordOrder{.batch_size = 7}), length);
  };
  auto whole = make({.max_length = 0}), start = make({.max_length = 8}),
       end = make({.max_length = 8, .truncation = "keep_end"});
  const auto all = statistics_of(whole), first = statistics_of(start), last = statistics_of(end);
  int cut = 0;
  for (std::size_t i = 0; i < all.size(); ++i) {
    const std::size_t size = std::min<std::size_t>(8, all[i].size());
    cut += all[i].size() > size;
    EXPECT_EQ(first[i], std::vector(all[i].begin(), all[i].begin() + static_cast<std::ptrdiff_t>(size)));
    EXPECT_EQ(last[i], std::vector(all[i].end() - static_cast<std::ptrdiff_t>(size), all[i].end()));
  }
  EXPECT_GT(cut, 0);
  EXPECT_EQ(tokens_of(start.plan(1).statistics),
            (std::vector<int64_t>{start.batch(1, start.plan(1).statistics[0]).tokens.size(0)}));
}

TEST(MismatchedSource, CutsStatisticsIntoAMultipleOfTheTeamsSlots) {
  MismatchedSource source(
      std::make_unique<RecordSource>(judged(7), RecordOrder{.batch_size = 7, .slots = 3}));
  EXPECT_EQ(source.plan(1).statistics.size(), 3u);
}

TEST(MismatchedSource, NeverGivesAPromptAnAnswerToItself) {
  auto records = std::make_shared<std::vector<Record>>();
  const auto few = judged(3);
  for (const int64_t which : {0, 0, 0, 1, 0, 2, 2, 0}) {  // several answers to a prompt
    records->push_back((*few)[static_cast<std::size_t>(which)]);
    records->back().front().tokens.push_back(static_cast<std::int32_t>(records->size()));
    ++records->back().front().scored.front().end;
  }
  const auto prompt = [&](int64_t record) {
    const Sequence& s = (*records)[static_cast<std::size_t>(record)].front();
    return std::vector(s.tokens.begin(), s.tokens.begin() + s.scored.front().begin);
  };
  for (const int64_t batch_size : {2, 5, 8, 11}) {
    MismatchedSource source(
        std::make_unique<RecordSource>(records, RecordOrder{.batch_size = batch_size, .seed = 3}));
    for (const int64_t step : {1, 2, 3, 4, 5, 6}) {
      int64_t pairs = 0;
      for (const Slot& slot : source.plan(step).statistics) {
        for (std::size_t i = 0; i < slot.records.size(); i += 2, ++pairs)
          EXPECT_NE(prompt(slot.records[i]), prompt(slot.records[i + 1])) << batch_size << ", " << step;
      }
      EXPECT_EQ(pairs, batch_size);
    }
  }
}

TEST(MismatchedSource, RefusesDataOfOnePrompt) {
  auto records = std::make_shared<std::vector<Record>>(3, judged(1)->front());
  EXPECT_EQ(testing::error_of([&] {
              MismatchedSource(std::make_unique<RecordSource>(records, RecordOrder{.batch_size = 2}));
            }),
            "answers to other prompts want two prompts that differ, and all records (3) have one");
}

TEST(MismatchedSource, OfAStepOfOneTakesTheAnswerOfTheNextRecord) {
  MismatchedSource source(
      std::make_unique<RecordSource>(judged(3), RecordOrder{.batch_size = 1, .shuffle = false}));
  for (int64_t i = 0; i < 3; ++i)
    EXPECT_EQ(source.plan(i + 1).statistics.at(0).records, (std::vector<int64_t>{i, (i + 1) % 3}));
}

}  // namespace
}  // namespace prefer
