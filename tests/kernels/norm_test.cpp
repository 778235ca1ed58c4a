// norm: CPU and group twins against the reference over one list of cases, gradients and properties.
#include "golden/kernels.hpp"
#include "kernels/norm/body.hpp"
#include "tests/kernels/norm_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::norm {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Norm, Types);

TYPED_TEST(Norm, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) {
      cpu::forward(data.forward(isa));
      cpu::backward(data.backward(isa));
    });
  }
}

TYPED_TEST(Norm, GroupsAreTheReference) {
  for (const int size : {1, 4}) {
    this->compare([&](auto& data) {
      const auto backward = data.backward();
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) {
          forward_row(data.forward(), row, group);
          group.reduce(0, Plus{});  // rstd is read by all of the group
          backward_row(backward, row, group);
        }
      });
      const std::int64_t blocks = row_blocks(data.shape.rows), width = data.shape.width;
      std::vector<float> parts(static_cast<std::size_t>(blocks * width));
      for (std::int64_t j = 0; j < width; ++j) {
        for (std::int64_t block = 0; block < blocks; ++block) {
          parts[static_cast<std::size_t>(block * width + j)] = dweight_part(backward, block, j);
        }
        backward.dweight[j] = dweight_total(parts.data(), blocks, width, j);
      }
    });
  }
}

TYPED_TEST(Norm, InPlaceHasTheSameBits) {
  const Case c{70, 100, 100, true, true};
  Data<TypeParam> apart(c), in_place(c);
  cpu::forward(apart.forward());
  cpu::backward(apart.backward());
  auto forward = in_place.forward();
  forward.sum = in_place.residual.data();
  forward.y = in_place.x.data();
  cpu::forward(forward);
  EXPECT_TRUE(same_bits(in_place.residual, apart.sum) && same_bits(in_place.x, apart.y));
  auto backward = in_place.backward();
  backward.x = in_place.residual.data();
  backward.dx = in_place.dy.data();
  cpu::backward(backward);
  EXPECT_TRUE(same_bits(in_place.dy, apart.dx) && same_bits(in_place.dweight, apart.dweight));
}

TYPED_TEST(Norm, BitsDependOnNeitherThreadsNorOtherRows) {
  for (const Isa isa : isas()) {
    Data<TypeParam> one({200, 100, 101}), two({200, 100, 101}), alone({1, 100, 100});
    with_threads(1, [&] { cpu::forward(one.forward(isa)), cpu::backward(one.backward(isa)); });
    with_threads(2, [&] { cpu::forward(two.forward(isa)), cpu::backward(two.backward(isa)); });
    EXPECT_TRUE(same_bits(one.y, two.y) && same_bits(one.dx, two.dx) && same_bits(one.dweight, two.dweight));
    std::copy_n(one.x.begin() + 77 * 101, 100, alone.x.begin());
    cpu::forward(alone.forward(isa));
    EXPECT_TRUE(same_bits(alone.y, std::vector(one.y.begin() + 7700, one.y.begin() + 7800)));
  }
}

TEST(NormReference, NormalisedRowsHaveUnitMeanSquare) {
  Data<double> data({3, 50, 50});
  std::fill(data.weight.begin(), data.weight.end(), 1.0);
  auto args = data.forward();
  args.eps = 0;
  reference::forward(args);
  for (std::size_t row = 0; row < 3; ++row) {
    double squares = 0;
    for (std::size_t j = 0; j < 50; ++j) squares += data.y[row * 50 + j] * data.y[row * 50 + j];
    EXPECT_NEAR(squares / 50, 1, 1e-14);
  }
}

TEST(NormReference, IsTransformersInBf16) {
  Data<bf16> data({2, 24, 24});
  for (std::size_t i = 0; i < 48; ++i) data.x[i] = narrow<bf16>(golden::kNormX[i]);
  for (std::size_t i = 0; i < 24; ++i) data.weight[i] = narrow<bf16>(golden::kNormWeight[i]);
  reference::forward(data.forward());
  for (std::size_t i = 0; i < 48; ++i) EXPECT_EQ(widen(data.y[i]), golden::kNormY[i]) << i;
  for (const Isa isa : isas()) {
    cpu::forward(data.forward(isa));
    for (std::size_t i = 0; i < 48; ++i) EXPECT_EQ(widen(data.y[i]), golden::kNormY[i]) << i;
  }
}

TEST(NormReference, GradientIsTheFiniteDifference) {
  Data<double> data({3, 6, 7, true, true});
  const auto objective = [&] {
    reference::forward(data.forward());
    double total = 0;
    for (std::size_t i = 0; i < data.y.size(); ++i)
      total += data.dy[i] * data.y[i] + data.dsum[i] * data.sum[i];
    return total;
  };
  objective();
  reference::backward(data.backward());
  for (std::size_t row = 0; row < 3; ++row) {
    for (std::size_t j = 0; j < 6; ++j) {
      EXPECT_NEAR(data.dx[row * 6 + j], slope(objective, data.x[row * 7 + j]), 1e-8);
      EXPECT_NEAR(data.dx[row * 6 + j], slope(objective, data.residual[row * 6 + j]), 1e-8);
    }
  }
  for (std::size_t j = 0; j < 6; ++j) EXPECT_NEAR(data.dweight[j], slope(objective, data.weight[j]), 1e-8);
}

TEST(NormErrors, ResidualAndSumComeTogether) {
  Data<float> data({2, 4, 4, true});
  auto args = data.forward();
  args.sum = nullptr;
  EXPECT_THROW(cpu::forward(args), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::norm
