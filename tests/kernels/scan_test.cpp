// scan: CPU and group twins against the reference over one list of cases, closed forms, and properties.
#include "kernels/scan/body.hpp"
#include "tests/kernels/scan_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::scan {
namespace {

TEST(Scan, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    compare([&](auto& data) { cpu::forward(data.args(isa)); });
  }
}

TEST(Scan, GroupsAreTheReference) {
  for (const int size : {1, 2, 5}) {
    compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t s = 0; s < data.args().sequences; ++s) scan_sequence(data.args(), s, group);
      });
    });
  }
  compare([&](auto& data) {
    for (std::int64_t s = 0; s < data.args().sequences; ++s) scan_sequence(data.args(), s, OneThread{});
  });
}

TEST(Scan, ASequencesBitsDependOnNeitherThreadsNorNeighbours) {
  const Case many{std::vector<std::int64_t>(100, 77)};
  for (const Isa isa : isas()) {
    Data<float> one(many), two(many), alone({{77}});
    with_threads(1, [&] { cpu::forward(one.args(isa)); });
    with_threads(2, [&] { cpu::forward(two.args(isa)); });
    EXPECT_TRUE(same_bits(one.advantage, two.advantage) && same_bits(one.returns, two.returns));
    std::copy_n(one.reward.begin() + 50 * 77, 77, alone.reward.begin());
    std::copy_n(one.value.begin() + 50 * 77, 77, alone.value.begin());
    cpu::forward(alone.args(isa));
    EXPECT_TRUE(std::equal(alone.advantage.begin(), alone.advantage.end(), one.advantage.begin() + 50 * 77));
  }
}

TEST(ScanReference, WithLambdaOneAdvantagesAreRewardsToGoMinusValues) {
  Data<double> data({{40}, 0.9, 1});
  reference::forward(data.args());
  double to_go = 0;
  for (std::size_t t = 40; t-- > 0;) {
    to_go = data.reward[t] + 0.9 * to_go;
    EXPECT_NEAR(data.returns[t], to_go, 1e-13);
    EXPECT_NEAR(data.advantage[t], to_go - data.value[t], 1e-13);
  }
}

TEST(ScanReference, WithLambdaZeroAdvantagesAreTheErrorsOfOneStep) {
  Data<double> data({{5}, 0.9, 0});
  reference::forward(data.args());
  for (std::size_t t = 0; t < 5; ++t) {
    const double next = t == 4 ? 0 : data.value[t + 1];
    EXPECT_NEAR(data.advantage[t], data.reward[t] + 0.9 * next - data.value[t], 1e-15);
  }
}

TEST(ScanReference, IsEquation16ForARewardAtTheEnd) {
  Data<double> data({{7}, 0.9, 0.5});
  std::fill(data.reward.begin(), data.reward.end(), 0);
  std::fill(data.value.begin(), data.value.end(), 0);
  data.reward[6] = 1;
  reference::forward(data.args());
  for (std::size_t t = 0; t < 7; ++t)
    EXPECT_NEAR(data.advantage[t], std::pow(0.9 * 0.5, static_cast<double>(6 - t)), 1e-15);
}

TEST(ScanErrors, BoundariesAscendAndFactorsLieWithinOne) {
  Data<float> data({{3, 4}});
  data.begin[1] = 8;
  EXPECT_THROW(cpu::forward(data.args()), std::invalid_argument);
  Data<float> other({{3}, 1.5});
  EXPECT_THROW(cpu::forward(other.args()), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::scan
