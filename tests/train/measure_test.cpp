// What is measured of a source: the same on any number of ranks, each slot looked at by one of them.
#include "prefer/train/measure.hpp"

#include "tests/train/tiny.hpp"

#include <atomic>

namespace prefer::testing {
namespace {

/// The error of each record and, as a metric, their sum.
Findings errors_of(const Batch& batch) {
  const Tensor error = batch.column("x").sum(1) - batch.column("y");  // [S]
  Findings found{{}, at::stack({error, error * error}, 1)};
  found.metrics.add("error", error.sum(), static_cast<double>(error.size(0)));
  return found;
}

TEST(Measure, IsTheSameOnAnyNumberOfRanksWhichShareTheSlots) {
  Alone alone;
  TinySource source;
  const Plan plan = source.plan(1);
  const Look look = [](const Batch& batch, const Slot&) { return errors_of(batch); };
  const Findings one = measure(plan, source, alone, look);
  ASSERT_EQ(one.rows.sizes(), (std::vector<int64_t>{8, 2}));
  double sum = 0;
  int64_t row = 0;
  for (const Slot& slot : plan.slots) {
    const Tensor rows = errors_of(source.batch(1, slot)).rows;
    EXPECT_TRUE(at::equal(one.rows.narrow(0, row, rows.size(0)), rows));
    row += rows.size(0);
    sum += rows.select(1, 0).sum().item<double>();
  }
  EXPECT_NEAR(one.metrics.values().at("error"), sum / 8, 1e-15);
  for (const int size : {2, 3, 5}) {  // of five ranks two have no slot
    std::atomic<int> looks = 0;
    Threads(size).run([&](Team& team) {
      TinySource mine;
      int64_t last = 0;
      const Findings found = measure(
          plan, mine, team,
          [&](const Batch& batch, const Slot&) {
            ++looks;
            return errors_of(batch);
          },
          [&](int64_t done, int64_t total) {
            EXPECT_EQ(total, 8);
            EXPECT_GT(done, last);
            last = done;
          });
      EXPECT_TRUE(same_bits({{"rows", found.rows}}, {{"rows", one.rows}})) << size;
      EXPECT_EQ(found.metrics.values(), one.metrics.values()) << size;
      EXPECT_TRUE(last == 0 || last == 8) << size;
    });
    EXPECT_EQ(looks, static_cast<int>(plan.slots.size())) << size;
  }
}

TEST(Measure, OfAnObjectiveIsItsMetricsWithoutGradient) {
  Alone alone;
  TinySource source;
  TinyObjective objective;
  const Metrics one = measure(objective, source, "eval_", alone);
  Metrics whole;
  for (const Slot& slot : source.plan(1).slots) whole.merge(objective(source.batch(1, slot), {}).metrics);
  EXPECT_NEAR(one.values().at("eval_error"), whole.values().at("error"), 1e-15);
  EXPECT_FALSE(objective.weights[0].value.grad().defined());
  Threads(2).run([&](Team& team) {
    TinySource mine;
    TinyObjective same;
    EXPECT_EQ(measure(same, mine, "eval_", team).values(), one.values());
  });
}

}  // namespace
}  // namespace prefer::testing
