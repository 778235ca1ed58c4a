// rope: CPU and element twins against the reference over one list of cases, frequencies, properties.
#include "golden/kernels.hpp"
#include "kernels/rope/body.hpp"
#include "tests/kernels/rope_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::rope {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Rope, Types);

TYPED_TEST(Rope, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) { cpu::forward(data.args(isa)); });
  }
}

TYPED_TEST(Rope, ElementsAreTheReference) {
  this->compare([&](auto& data) {
    const auto args = data.args();
    for (std::int64_t row = 0; row < args.rows; ++row) {
      for (std::int64_t head = 0; head < args.heads; ++head) {
        for (std::int64_t i = 0; i < args.dim / 2; ++i) rotate_pair(args, row, head, i);
      }
    }
  });
}

TYPED_TEST(Rope, InPlaceAndThreadsKeepTheBits) {
  Data<TypeParam> apart({50, 3, 64, 300}), in_place({50, 3, 64, 300});
  with_threads(1, [&] { cpu::forward(apart.args()); });
  auto args = in_place.args();
  args.y = in_place.x.data();
  with_threads(2, [&] { cpu::forward(args); });
  EXPECT_TRUE(same_bits(apart.y, in_place.x));
}

TEST(RopeReference, KeepsNormsAndIsInvertedByTheOtherSign) {
  Data<double> data({5, 2, 10, 20});
  reference::forward(data.args());
  double before = 0, after = 0;
  for (std::size_t i = 0; i < data.x.size(); ++i)
    before += data.x[i] * data.x[i], after += data.y[i] * data.y[i];
  EXPECT_NEAR(before, after, 1e-12 * before);
  auto back = data.args();
  std::vector<double> returned(data.x.size());
  back.x = data.y.data(), back.y = returned.data(), back.sign = -1;
  reference::forward(back);
  for (std::size_t i = 0; i < returned.size(); ++i) EXPECT_NEAR(returned[i], data.x[i], 1e-14);
}

TEST(RopeReference, ProductsDependOnTheDistanceAlone) {
  const auto product = [](std::int64_t p, std::int64_t q) {
    Data<double> data({2, 1, 16, 16});
    data.position = {p, q};
    reference::forward(data.args());
    double dot = 0;
    for (std::size_t i = 0; i < 16; ++i) dot += data.y[i] * data.y[16 + i];
    return dot;
  };
  EXPECT_NEAR(product(3, 10), product(90, 97), 1e-12);
}

TEST(RopeReference, TurnsAQuarter) {  // dim 2, theta^0 = 1 radian a position: cos p, sin p
  Data<double> data({1, 1, 2, 2});
  data.x = {1, 0};
  data.position = {1};
  reference::forward(data.args());
  EXPECT_NEAR(data.y[0], std::cos(1.0), 1e-15);
  EXPECT_NEAR(data.y[1], std::sin(1.0), 1e-15);
}

TEST(RopeFrequencies, FollowTheta) {
  const auto f = inverse_frequencies({.dim = 4, .theta = 10000});
  EXPECT_DOUBLE_EQ(f[0], 1);
  EXPECT_DOUBLE_EQ(f[1], 0.01);
}

TEST(RopeFrequencies, OfLlama3AreThoseOfTransformers) {
  const auto f = inverse_frequencies({.dim = 64,
                                      .theta = 500000,
                                      .llama3 = true,
                                      .factor = 32,
                                      .low_freq_factor = 1,
                                      .high_freq_factor = 4,
                                      .original_context = 8192});
  ASSERT_EQ(f.size(), std::size(golden::kLlama3Frequencies));
  for (std::size_t i = 0; i < f.size(); ++i) {  // transformers computes them in float32
    EXPECT_NEAR(f[i] / golden::kLlama3Frequencies[i], 1, 1e-6) << i;
  }
}

TEST(RopeErrors, NameTheRow) {
  Data<float> data({3, 1, 4, 4});
  data.position[2] = -1;
  EXPECT_THROW(cpu::forward(data.args()), std::invalid_argument);
  EXPECT_THROW(inverse_frequencies({.dim = 3}), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::rope
