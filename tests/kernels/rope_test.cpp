// rope: CPU and element twins against the reference over one list of cases, frequencies, properties.
#include "kernels/rope/rope.hpp"

#include "golden/kernels.hpp"
#include "kernels/rope/body.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::rope {
namespace {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, heads, dim, stride;
  int sign = 1;
};

const Case kCases[] = {{0, 2, 4, 8},     {1, 1, 2, 2},      {3, 1, 6, 9},    {2, 3, 30, 90, -1},
                       {2, 2, 32, 64},   {2, 5, 34, 200},   {3, 9, 64, 960}, {2, 2, 126, 252, -1},
                       {2, 1, 130, 130}, {33, 2, 128, 256}, {2, 0, 64, 64}};

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    x = normals<T>(c.rows * c.stride, 1);
    y = x;
    for (std::int64_t i = 0; i < c.rows; ++i) position.push_back(i * 37 % 101);
    tables = make_tables<Wide<T>>(inverse_frequencies({.dim = c.dim}), 101);
  }
  Forward<T> args(Isa isa = best_isa()) {
    Forward<T> a;
    a.x = x.data(), a.y = y.data();
    a.rows = shape.rows, a.heads = shape.heads, a.dim = shape.dim;
    a.x_stride = a.y_stride = shape.stride;
    a.position = position.data(), a.positions = 101;
    a.cos = tables.cos.data(), a.sin = tables.sin.data();
    a.sign = shape.sign;
    a.isa = isa;
    return a;
  }
  Case shape;
  std::vector<T> x, y;
  std::vector<std::int64_t> position;
  Tables<Wide<T>> tables;
};

template <class T>
class Rope : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.heads << ", " << c.dim << "]");
      Data<T> data(c), expected(c);
      reference::forward(expected.args());
      twin(data);
      for (std::size_t i = 0; i < expected.y.size(); ++i) {
        const double allowed = tolerance<float>(2) * 6 + tolerance<T>(1) * std::abs(widen(expected.y[i]));
        ASSERT_TRUE(near(widen(data.y[i]), widen(expected.y[i]), allowed)) << i;
      }
    }
  }
};
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
