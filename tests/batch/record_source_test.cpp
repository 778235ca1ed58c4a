// Steps over records: every record once a pass, any cut the same counts, batches that hold what was planned.
#include "prefer/batch/record_source.hpp"

#include "prefer/core/error.hpp"
#include "support/error.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <set>

namespace prefer {
namespace {

constexpr int64_t kLargest = 6 + 2 + 5;  // tokens of a pair

/// n pairs: a prompt of 3 + i % 4 tokens, answers of 2 and 3 + i % 3.
std::shared_ptr<const std::vector<Record>> pairs(int64_t n) {
  auto records = std::make_shared<std::vector<Record>>();
  for (int64_t i = 0; i < n; ++i) {
    const std::vector<std::int32_t> prompt(static_cast<std::size_t>(3 + i % 4), static_cast<std::int32_t>(i));
    Record record;
    for (int64_t role = 0; role < 2; ++role) {
      Sequence s;
      s.tokens = prompt;
      s.tokens.insert(s.tokens.end(), static_cast<std::size_t>(role == 0 ? 2 : 3 + i % 3),
                      100 + static_cast<std::int32_t>(role));
      s.scored = {
          {static_cast<int64_t>(prompt.size()), static_cast<int64_t>(s.tokens.size()), Term::completion}};
      s.role = role;
      record.push_back(s);
    }
    records->push_back(record);
  }
  return records;
}

TEST(RecordSource, GoesThroughAllRecordsOnceAPassAcrossSteps) {
  RecordSource source(pairs(10), {.batch_size = 4, .seed = 5});
  std::vector<int64_t> seen;
  for (int64_t step = 1; step <= 5; ++step) {
    for (const Slot& slot : source.plan(step).slots)
      seen.insert(seen.end(), slot.records.begin(), slot.records.end());
  }
  ASSERT_EQ(seen.size(), 20u);
  EXPECT_EQ(std::set<int64_t>(seen.begin(), seen.begin() + 10).size(), 10u);
  EXPECT_EQ(std::set<int64_t>(seen.begin() + 10, seen.end()).size(), 10u);
  EXPECT_NE(std::vector<int64_t>(seen.begin(), seen.begin() + 10),
            std::vector<int64_t>(seen.begin() + 10, seen.end()));
}

TEST(RecordSource, KeepsFileOrderWhenNotShuffled) {
  RecordSource source(pairs(5), {.batch_size = 2, .shuffle = false});
  EXPECT_EQ(source.plan(3).slots[0].records, (std::vector<int64_t>{4, 0}));
}

TEST(RecordSource, AnyCutHoldsTheSameRecordsAndCounts) {
  RecordSource whole(pairs(9), {.batch_size = 8, .seed = 1});
  const Plan one = whole.plan(2);
  ASSERT_EQ(one.slots.size(), 1u);
  for (const RecordOrder& order : {RecordOrder{.batch_size = 8, .tokens_per_slot = 25, .seed = 1},
                                   RecordOrder{.batch_size = 8, .tokens_per_slot = 1, .seed = 1},
                                   RecordOrder{.batch_size = 8, .slots = 3, .seed = 1}}) {
    RecordSource cut(pairs(9), order);
    const Plan plan = cut.plan(2);
    EXPECT_GE(plan.slots.size(), static_cast<std::size_t>(order.slots));
    EXPECT_GT(plan.slots.size(), 1u);
    std::vector<int64_t> records;
    for (const Slot& slot : plan.slots) {
      records.insert(records.end(), slot.records.begin(), slot.records.end());
      EXPECT_TRUE(slot.tokens <= order.tokens_per_slot || slot.records.size() == 1);
      EXPECT_EQ(cut.batch(2, slot).tokens.size(0), slot.tokens);
    }
    EXPECT_EQ(records, one.slots[0].records);
    EXPECT_EQ(plan.total(), one.total());
  }
  EXPECT_EQ(one.total().at("groups"), 8);
  EXPECT_EQ(one.total().at("sequences"), 16);
}

TEST(RecordSource, SlotsAreAMultipleAndAsEvenAsTheOrderAllows) {
  for (const int64_t slots : {1, 2, 3, 4, 8, 20}) {
    for (const int64_t budget : {1000, 30, 12, 1}) {
      RecordSource source(pairs(9), {.batch_size = 8, .tokens_per_slot = budget, .slots = slots, .seed = 1});
      const Plan plan = source.plan(2);
      const auto count = static_cast<int64_t>(plan.slots.size());
      EXPECT_TRUE(count % slots == 0 || count == 8) << slots << ", " << budget;  // a record is not cut
      EXPECT_TRUE(count == 8 || (slots < 8 && budget > 1));
      int64_t largest = 0, total = 0;
      for (const Slot& slot : plan.slots) {
        EXPECT_FALSE(slot.records.empty());
        EXPECT_TRUE(slot.tokens <= budget || slot.records.size() == 1);
        largest = std::max(largest, slot.tokens);
        total += slot.tokens;
      }
      EXPECT_LE(largest, total / count + kLargest) << slots;  // an even cut, and less than a record more
    }
  }
}

TEST(RecordSource, RefusesAnOrderAgainstItsRules) {
  EXPECT_EQ(testing::error_of([] { RecordSource(pairs(2), {.batch_size = 0}); }),
            "the order of records: batch_size = 0; 1 or more is wanted");
  EXPECT_EQ(testing::error_of([] { RecordSource(pairs(2), {.slots = 0}); }),
            "the order of records: slots = 0; 1 or more is wanted");
}

TEST(RecordSource, AttachedColumnsFollowTheScoredTokens) {
  const auto records = pairs(6);
  RecordSource source(records, {.batch_size = 6, .seed = 2});
  std::vector<ScoredColumn> column;
  for (std::size_t i = 0; i < records->size(); ++i) {
    column.emplace_back(static_cast<std::size_t>(count((*records)[i]).at("completion_tokens")),
                        static_cast<float>(i));
  }
  source.attach("reference", column);
  const Slot slot = source.plan(1).slots[0];
  const Batch batch = source.batch(1, slot);
  const Tensor owner = batch.group.index_select(0, batch.sequence);  // [M]
  for (int64_t m = 0; m < batch.scored(); ++m) {
    EXPECT_EQ(batch.column("reference")[m].item<float>(), slot.records[owner[m].item<int64_t>()]);
  }
  EXPECT_THROW(source.attach("short", {}), Error);
}

TEST(RecordSource, SharesWeighTheCounts) {
  auto records = std::make_shared<std::vector<Record>>(*pairs(2));
  for (Sequence& s : (*records)[1]) s.share = 0.5f;
  RecordSource source(records, {.batch_size = 2, .shuffle = false});
  EXPECT_DOUBLE_EQ(source.plan(1).total().at("groups"), 1.5);
  EXPECT_THROW(RecordSource(std::make_shared<std::vector<Record>>(), {}), Error);
}

TEST(RecordSource, NumbersPromptsByTheirTokens) {
  auto records = std::make_shared<std::vector<Record>>(*pairs(4));
  (*records)[2] = (*records)[0];
  (*records)[2][1].tokens.back() = 99;  // another answer to the first prompt
  EXPECT_EQ(number_prompts(*records), (std::vector<int64_t>{0, 1, 0, 2}));
  RecordSource source(records, {.batch_size = 4, .shuffle = true, .tokens_per_slot = 1, .seed = 3});
  std::vector<std::size_t> expected;
  const Plan plan = source.plan(1);
  for (const Slot& slot : plan.slots)
    for (const int64_t record : slot.records)
      expected.push_back(
          static_cast<std::size_t>(std::vector<int64_t>{0, 1, 0, 2}[static_cast<std::size_t>(record)]));
  EXPECT_EQ(source.prompts_of(plan), expected);
  source.tell_prompts_by({"x", "x", "y", "x"});
  EXPECT_EQ(source.prompts(), (std::vector<int64_t>{0, 0, 1, 0}));
  EXPECT_THROW(source.tell_prompts_by({"x"}), Error);
}

TEST(Batch, ReadsKeepTheirTargets) {
  auto records = std::make_shared<std::vector<Record>>(*pairs(1));
  (*records)[0][0].reads = {{.token = 3, .target = 0.25f}, {.token = 4}};
  RecordSource source(records, {.batch_size = 1});
  const Batch batch = source.batch(1, source.plan(1).slots[0]);
  ASSERT_EQ(batch.reads.target.sizes(), batch.reads.row.sizes());
  EXPECT_EQ(batch.reads.target[0].item<float>(), 0.25f);
  EXPECT_TRUE(std::isnan(batch.reads.target[1].item<float>()));  // not given
}

TEST(Batch, RefusesColumnsOfAnotherLength) {
  RecordSource source(pairs(2), {.batch_size = 2});
  Batch batch = source.batch(1, source.plan(1).slots[0]);
  EXPECT_THROW(batch.set("margin", Axis::groups, at::zeros({3})), Error);
  EXPECT_NO_THROW(batch.set("margin", Axis::groups, at::zeros({2})));
  EXPECT_THROW(batch.column("other"), Error);
}

}  // namespace
}  // namespace prefer
