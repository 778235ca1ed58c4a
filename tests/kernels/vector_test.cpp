// The vectors of kernels/vector.inl on each instruction set: exp against the C library in double, bf16
// against number.hpp.
#include "kernels/vector.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>
#include <random>
#include <vector>

namespace prefer::kernels {
#define PREFER_KERNEL_BODY "tests/kernels/vector_body.inl"
#include "kernels/each_isa.inl"

namespace {

constexpr Isa kIsas[] = {Isa::portable, Isa::avx2, Isa::avx512};
constexpr std::int64_t lanes(Isa isa) { return isa == Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 4; }

class Vectors : public ::testing::TestWithParam<Isa> {
 protected:
  void SetUp() override {
    if (!supported(GetParam())) GTEST_SKIP() << "this CPU has no " << name(GetParam());
  }
};

TEST_P(Vectors, ExpIsWithin2e7OverTheWholeRange) {
  const auto exp_of = choose(GetParam(), portable::exp_of, avx2::exp_of, avx512::exp_of);
  std::vector<float> x;
  for (double value = -87.3; value < 88.7; value += 1e-4) x.push_back(static_cast<float>(value));
  for (float value = 1e-8f; value < 1.0f; value *= 1.01f) x.insert(x.end(), {value, -value});
  while (x.size() % 16 != 0) x.push_back(0.0f);
  std::vector<float> y(x.size());
  exp_of(x.data(), y.data(), static_cast<std::int64_t>(x.size()));
  double worst = 0;
  for (std::size_t i = 0; i < x.size(); ++i) {
    const double want = std::exp(static_cast<double>(x[i]));
    worst = std::max(worst, std::abs(static_cast<double>(y[i]) - want) / want);
  }
  EXPECT_LT(worst, 2e-7);
}

TEST_P(Vectors, ExpIsExactAtItsEnds) {
  const auto exp_of = choose(GetParam(), portable::exp_of, avx2::exp_of, avx512::exp_of);
  const float inf = std::numeric_limits<float>::infinity();
  const float x[16] = {-inf,    -1000.0f, -104.1f, 0.0f,    -0.0f,   89.5f,
                       1000.0f, inf,      NAN,     -100.0f, -103.0f, 88.7f};
  float y[16];
  exp_of(x, y, 16);
  for (const int i : {0, 1, 2}) EXPECT_EQ(y[i], 0.0f) << x[i];
  for (const int i : {3, 4}) EXPECT_EQ(y[i], 1.0f);
  for (const int i : {5, 6, 7}) EXPECT_EQ(y[i], inf) << x[i];
  EXPECT_TRUE(std::isnan(y[8]));
  const float smallest = std::numeric_limits<float>::denorm_min();
  for (const int i : {9, 10}) EXPECT_NEAR(y[i], std::exp(static_cast<double>(x[i])), smallest);
  EXPECT_NEAR(y[11] / std::exp(88.7), 1.0, 2e-5);  // 88.7f is not 88.7
}

TEST_P(Vectors, TransposeTurnsRowsIntoColumns) {
  const auto transpose_of =
      choose(GetParam(), portable::transpose_of, avx2::transpose_of, avx512::transpose_of);
  const std::int64_t n = lanes(GetParam());
  float from[256], to[256];
  for (std::int64_t i = 0; i < n * n; ++i) from[i] = static_cast<float>(i);
  transpose_of(from, to);
  for (std::int64_t i = 0; i < n; ++i) {
    for (std::int64_t j = 0; j < n; ++j) EXPECT_EQ(to[i * n + j], from[j * n + i]);
  }
}

TEST_P(Vectors, Bf16RoundsAndWidensAsNumberDoes) {
  const auto to_bf16 = choose(GetParam(), portable::to_bf16, avx2::to_bf16, avx512::to_bf16);
  const auto from_bf16 = choose(GetParam(), portable::from_bf16, avx2::from_bf16, avx512::from_bf16);
  std::mt19937 random(1);
  std::vector<float> x(1 << 16), back(x.size());
  std::vector<bf16> half(x.size());
  for (std::size_t i = 0; i < x.size();
       ++i) {  // every exponent and sign, ties, infinities and NaN among them
    const std::uint32_t low = i % 3 == 0 ? 0x8000u : static_cast<std::uint32_t>(random() & 0xffffu);
    const std::uint32_t bits = static_cast<std::uint32_t>(i) << 16 | low;
    memcpy(&x[i], &bits, sizeof bits);
  }
  to_bf16(x.data(), half.data(), static_cast<std::int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) EXPECT_EQ(half[i].bits, narrow_bf16(x[i]).bits) << x[i];
  from_bf16(half.data(), back.data(), static_cast<std::int64_t>(x.size()));
  for (std::size_t i = 0; i < x.size(); ++i) {
    const float want = widen(half[i]);
    EXPECT_EQ(memcmp(&back[i], &want, sizeof want), 0) << want;
  }
}

INSTANTIATE_TEST_SUITE_P(EachIsa, Vectors, ::testing::ValuesIn(kIsas),
                         [](const auto& isa) { return std::string(name(isa.param)); });

}  // namespace
}  // namespace prefer::kernels
