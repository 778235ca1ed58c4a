// few_rows: the reference against a sum in double and a case by hand, AMX against the reference bit for bit.
#include "kernels/few_rows/few_rows.hpp"

#include "support/kernels.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer::kernels::few_rows {
namespace {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, in, out, height, stretch;
};

// Every count of rows on both sides of a tile's, widths and heights that end within one, stretches beyond the
// width.
const std::vector<Case> kCases = {{1, 32, 16, 16, 1},     {1, 576, 192, 64, 9},   {2, 100, 64, 64, 3},
                                  {3, 31, 31, 16, 1},     {8, 1536, 200, 64, 12}, {15, 65, 47, 48, 2},
                                  {16, 64, 65, 64, 99},   {17, 250, 31, 32, 4},   {31, 96, 130, 64, 1},
                                  {32, 544, 1000, 64, 5}, {16, 288, 80, 80, 2},   {3, 0, 5, 16, 1},
                                  {0, 32, 16, 16, 1},     {5, 40, 0, 16, 1}};

struct Data {
  explicit Data(const Case& c)
      : shape(c),
        padded_in((c.in + kTile - 1) / kTile * kTile),
        x(normals<bf16>(c.rows * c.in, 1)),
        plain(normals<bf16>(c.out * c.in, 2)),
        weight(static_cast<std::size_t>((c.out + c.height - 1) / c.height * c.height * padded_in)),
        y(static_cast<std::size_t>(c.rows * c.out)) {
    for (std::int64_t n = 0; n < c.out; ++n)
      for (std::int64_t k = 0; k < c.in; ++k) {
        const std::int64_t panel = n / c.height * c.height * padded_in;
        const std::int64_t at = panel + k / 2 * 2 * c.height + 2 * (n % c.height) + k % 2;
        weight[static_cast<std::size_t>(at)] = plain[static_cast<std::size_t>(n * c.in + k)];
      }
  }
  Product args() {
    Product a;
    a.x = x.data(), a.weight = weight.data(), a.y = y.data();
    a.rows = shape.rows, a.in = shape.in, a.padded_in = padded_in, a.out = shape.out;
    a.height = shape.height, a.stretch = shape.stretch;
    return a;
  }

  Case shape;
  std::int64_t padded_in;
  std::vector<bf16> x, plain, weight, y;
};

// At most in + 2 roundings of partial sums, none above the sum of magnitudes, and the last one to bf16.
TEST(FewRowsReference, IsTheProduct) {
  for (const Case& c : kCases) {
    Data data(c);
    reference::forward(data.args());
    for (std::int64_t row = 0; row < c.rows; ++row)
      for (std::int64_t n = 0; n < c.out; ++n) {
        double sum = 0, magnitude = 0;
        for (std::int64_t k = 0; k < c.in; ++k) {
          const double term = static_cast<double>(widen(data.x[static_cast<std::size_t>(row * c.in + k)])) *
                              static_cast<double>(widen(data.plain[static_cast<std::size_t>(n * c.in + k)]));
          sum += term, magnitude += std::abs(term);
        }
        const double bound = static_cast<double>(c.in + 2) * 0x1p-24 * magnitude;
        ASSERT_NEAR(widen(data.y[static_cast<std::size_t>(row * c.out + n)]), sum,
                    bound + 0x1p-8 * (std::abs(sum) + bound))
            << c.rows << " rows, " << row << " " << n;
      }
  }
}

// 1 is lost where it is added to 2^24 itself: by even places of one tile, by tiles of one stretch, by
// stretches; not where sums that begin at zero keep the two apart.
TEST(FewRowsReference, SumsInItsOrder) {
  const auto product = [](std::vector<std::pair<std::int64_t, float>> terms, std::int64_t stretch) {
    Data data({1, 128, 1, 16, stretch});
    std::fill(data.x.begin(), data.x.end(), narrow_bf16(0));
    for (bf16& w : data.weight) w = narrow_bf16(1);
    for (const auto& [k, value] : terms) data.x[static_cast<std::size_t>(k)] = narrow_bf16(value);
    reference::forward(data.args());
    return widen(data.y[0]);
  };
  constexpr float kLarge = 0x1p24f;
  EXPECT_EQ(product({{0, kLarge}, {2, 1}, {4, -kLarge}}, 4), 0);
  EXPECT_EQ(product({{0, kLarge}, {4, -kLarge}, {6, 1}}, 4), 1);
  EXPECT_EQ(product({{0, kLarge}, {3, 1}, {4, -kLarge}}, 4), 1);
  EXPECT_EQ(product({{0, kLarge}, {32, 1}, {64, -kLarge}}, 4), 0);
  EXPECT_EQ(product({{0, kLarge}, {32, -kLarge}, {64, 1}}, 1), 1);
  EXPECT_EQ(product({{0, kLarge}, {64, 1}, {96, -kLarge}}, 2), 1);
  EXPECT_EQ(product({{0, kLarge}, {64, 1}, {96, -kLarge}}, 1), 0);
  EXPECT_EQ(product({{0, 1}, {64, kLarge}, {96, -kLarge}}, 2), 1);
  EXPECT_EQ(product({{0, 1}, {64, kLarge}, {96, -kLarge}}, 1), 0);
}

TEST(FewRows, AmxIsTheReferenceBitForBit) {
  if (!amx::supported()) GTEST_SKIP() << "no AMX on this CPU";
  for (const Case& c : kCases) {
    for (const int threads : {1, 2}) {
      Data data(c), expected(c);
      reference::forward(expected.args());
      with_threads(threads, [&] { amx::forward(data.args()); });
      EXPECT_TRUE(same_bits(data.y, expected.y)) << c.rows << " rows, [" << c.out << ", " << c.in << "]";
    }
  }
}

TEST(FewRowsErrors, SayWhatWasSeen) {
  Data data({1, 32, 16, 16, 1});
  const auto refuses = [&](auto change) {
    Product a = data.args();
    change(a);
    EXPECT_THROW(reference::forward(a), std::invalid_argument);
    EXPECT_THROW(amx::forward(a), std::invalid_argument);
  };
  refuses([](Product& a) { a.rows = kMostRows + 1; });
  refuses([](Product& a) { a.stretch = 0; });
  refuses([](Product& a) { a.height = 8; });
  refuses([](Product& a) { a.padded_in = 48; });
  refuses([](Product& a) { a.in = 33; });
  refuses([](Product& a) { a.weight = nullptr; });
}

}  // namespace
}  // namespace prefer::kernels::few_rows
