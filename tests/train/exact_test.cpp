// Exact sums: their bits depend neither on the number of ranks nor on the order of slots, and what they drop
// is bounded.
#include "prefer/train/fixed_point.hpp"
#include "support/error.hpp"
#include "tests/train/tiny.hpp"

#include <cmath>
#include <random>

namespace prefer::testing {
namespace {

/// The sum of slots' gradients of one parameter, and in how many passes it was formed.
struct Added {
  Tensor sum;
  int passes = 0;
};

Added add_up(FixedPoint& fixed, const std::vector<Tensor>& slots) {
  Alone team;
  Tensor units = at::empty(slots.front().sizes(), at::kLong);
  fixed.begin(static_cast<int64_t>(slots.size()));
  Added added;
  do {
    bool first = true;
    for (const Tensor& slot : slots) fixed.add(units, slot, 0, std::exchange(first, false));
    ++added.passes;
  } while (!fixed.hold(team));
  added.sum = at::empty(slots.front().sizes(), at::kDouble);
  fixed.read(added.sum, units, 0);
  return added;
}

/// Gradients of magnitudes from 1e-12 to 1e3, of a type.
std::vector<Tensor> random_slots(int64_t count, at::ScalarType type, unsigned seed) {
  std::mt19937 random(seed);
  std::vector<Tensor> slots;
  for (int64_t i = 0; i < count; ++i) {
    std::vector<double> values(200'000);
    for (double& value : values)
      value =
          std::normal_distribution<double>()(random) * std::pow(10.0, -12 + static_cast<int>(random() % 15));
    slots.push_back(tensor_of(values, type));
  }
  return slots;
}

TEST(FixedPoint, SumsAreTheSameInAnyOrderAndNearTheTrueOnes) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    std::vector<Tensor> slots = random_slots(5, type, 3);
    Tensor expected = at::zeros(slots.front().sizes(), at::kDouble);
    double largest = 0;
    for (const Tensor& slot : slots) {
      expected += slot.to(at::kDouble);
      largest = std::max(largest, slot.abs().max().item<double>());
    }
    FixedPoint fixed(1);
    const Added added = add_up(fixed, slots);
    EXPECT_EQ(added.passes, 2);  // the first only measures
    // Half a unit a slot; a unit is at most 2^-40 of the largest. Sums of doubles round besides.
    const double bound = 5 * 0.5 * largest * 0x1p-40 + 5 * largest * 0x1p-53;
    EXPECT_LE((added.sum - expected).abs().max().item<double>(), bound);
    std::reverse(slots.begin(), slots.end());
    FixedPoint again(1);
    EXPECT_TRUE(at::equal(add_up(again, slots).sum, added.sum));
  }
}

TEST(FixedPoint, ScalesByTheStepBeforeAndRepeatsOnlyWhereASlotIsFarAboveIt) {
  FixedPoint fixed(1);
  const auto step = [&](double largest) {
    const Added added = add_up(fixed, {at::full({1}, largest, at::kFloat)});
    EXPECT_EQ(added.sum.item<double>(), static_cast<float>(largest));
    fixed.passed();
    return added.passes;
  };
  EXPECT_EQ(step(1), 2);
  EXPECT_EQ(step(3), 1);
  EXPECT_EQ(step(3 * 0x1p18), 1);
  EXPECT_EQ(step(3 * 0x1p18), 1);
  EXPECT_EQ(step(3 * 0x1p39), 2);  // 2^21 above
  EXPECT_EQ(step(1), 1);
  EXPECT_EQ(step(0), 1);
  EXPECT_EQ(fixed.state().at("largest").item<double>(), 1);
  EXPECT_EQ(add_up(fixed, {at::full({1}, 0x1p-42, at::kFloat)}).sum.item<double>(), 0);  // below half a unit
}

TEST(FixedPoint, ManySlotsDoNotOverflow) {
  FixedPoint fixed(1);
  add_up(fixed, {at::ones({1})});
  fixed.passed();
  const std::vector<Tensor> slots(64,
                                  at::full({1}, 0x1p19, at::kFloat));  // each would fit, but not their sum
  const Added added = add_up(fixed, slots);
  EXPECT_EQ(added.passes, 2);
  EXPECT_EQ(added.sum.item<double>(), 64 * 0x1p19);
}

TEST(FixedPoint, WhatIsNotFiniteStaysSo) {
  for (const double bad : {NAN, INFINITY, -INFINITY}) {
    FixedPoint fixed(1);
    EXPECT_TRUE(
        std::isnan(add_up(fixed, {at::ones({1}), at::full({1}, bad, at::kFloat)}).sum.item<double>()));
    EXPECT_EQ(add_up(fixed, {at::ones({1})}).sum.item<double>(), 1);  // and the next step is not spoilt
  }
}

NamedTensors train(Team& team, int64_t steps, const NamedTensors* from = nullptr, int64_t from_step = 0) {
  TinySource source;
  source.slot = 1;  // eight slots
  TinyObjective objective({at::kDouble, at::kFloat, at::kBFloat16});
  FitConfig config = tiny_config(10);
  config.exact = true;
  config.steps = steps;
  config.schedule.lr_scheduler_type = "constant";
  Training training(config, source, objective);
  if (from != nullptr) training.restore(from_step, *from);
  fit(training, team, {});
  return copied(training.state());
}

TEST(Exact, AnyNumberOfRanksEndsInTheSameBitsAlsoWhenItChanges) {
  Alone alone;
  const NamedTensors expected = train(alone, 10), half = train(alone, 5);
  EXPECT_TRUE(expected.contains("gradients.largest"));
  for (const int size : {1, 2, 3, 5}) {
    Threads(size).run([&](Team& team) {
      EXPECT_TRUE(same_bits(train(team, 10), expected)) << size;
      EXPECT_TRUE(same_bits(train(team, 10, &half, 5), expected)) << size;
    });
  }
}

TEST(Exact, ACheckpointOfAnotherKindOfSumIsNamed) {
  TinySource source;
  TinyObjective objective;
  FitConfig config = tiny_config(1);
  const NamedTensors fast = copied(Training(config, source, objective).state());
  config.exact = true;
  Training training(config, source, objective);
  EXPECT_NE(error_of([&] { training.restore(1, fast); }).find("the checkpoint lacks gradients.largest"),
            std::string::npos);
}

TEST(Gradients, GoOutInBucketsInTheOrderOfBackwardWhileItRuns) {
  struct Watched final : Team {
    std::vector<int64_t> sent;  // elements of each bucket
    int rank() const override { return 0; }
    int size() const override { return 1; }
    void reduce(std::vector<Tensor>&) override {}
    std::function<void()> start(Tensor tensor) override {
      sent.push_back(tensor.numel());
      return [] {};
    }
    bool any(bool mine) override { return mine; }
    void barrier() override {}
  } team;
  // Three of 16 MiB fill a bucket each; the two small ones share theirs with a neighbour.
  std::vector<Trained> parameters;
  Tensor x = at::ones({1});
  for (const int64_t size :
       {int64_t{4} << 20, int64_t{10}, int64_t{4} << 20, int64_t{20}, int64_t{4} << 20}) {
    Tensor weight = at::ones({size});
    weight.requires_grad_(true);
    parameters.push_back({"w" + std::to_string(parameters.size()), weight, 1});
  }
  Gradients gradients(parameters);
  const auto loss = [&](std::size_t leave_out) {
    Tensor sum = at::zeros({1});
    for (std::size_t i = 0; i < parameters.size(); ++i)
      if (i != leave_out) sum = (sum + parameters[i].value.sum()) * 1.0;
    return sum;
  };
  gradients.clear(2);
  loss(9).sum().backward();
  EXPECT_TRUE(team.sent.empty());
  gradients.last(team);
  loss(9).sum().backward();
  const std::vector<int64_t> expected = {(4 << 20) + 32, (4 << 20) + 16, 4 << 20};
  EXPECT_EQ(team.sent, expected);  // before it is asked for
  EXPECT_TRUE(gradients.reduce(team));
  for (const Tensor& sum : gradients.sums()) EXPECT_TRUE(at::equal(sum, at::full_like(sum, 2)));

  team.sent.clear();
  gradients.clear();
  gradients.last(team);
  loss(1).sum().backward();  // one that gets no gradient holds its bucket back, and all behind it
  EXPECT_EQ(team.sent.size(), 1U);
  EXPECT_TRUE(gradients.reduce(team));
  EXPECT_EQ(team.sent, expected);
  EXPECT_EQ(gradients.sums()[1].abs().max().item<float>(), 0);
  EXPECT_EQ(gradients.sums()[0].min().item<float>(), 1);
}

}  // namespace
}  // namespace prefer::testing
