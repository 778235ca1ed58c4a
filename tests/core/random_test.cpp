// Keyed randomness: pinned bytes, and the properties of draws and permutations.
#include "prefer/core/random.hpp"

#include "prefer/core/json.hpp"
#include "support/data.hpp"
#include "support/error.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>
#include <set>
#include <vector>

namespace prefer {
namespace {

std::uint64_t u64(const Json& json) { return static_cast<std::uint64_t>(json.as_integer()); }

Json golden_numbers() {
  std::ifstream file(testing::golden("random.json"));
  const std::string text{std::istreambuf_iterator<char>(file), {}};
  return parse_json(text, "random.json");
}

TEST(Random, DrawsArePinned) {
  const Json golden = golden_numbers();
  for (const Json& c : golden.at("draws").as_array()) {
    const auto& k = c.at("key").as_array();
    const RandomKey key{u64(k[0]),
                        u64(k[1]),
                        u64(k[2]),
                        static_cast<std::uint32_t>(u64(k[3])),
                        static_cast<std::uint32_t>(u64(k[4])),
                        u64(k[5])};
    const auto bits = random_bits(key);
    for (std::size_t i = 0; i < 4; ++i) EXPECT_EQ(bits[i], u64(c.at("bits").at(i))) << dump(c);
    const std::uint64_t word = u64(c.at("bits").at(1)) << 32 | u64(c.at("bits").at(0));
    EXPECT_EQ(std::ldexp(uniform(key), 53), static_cast<double>((word >> 12) * 2 + 1));
  }
}

TEST(Random, PermutationsArePinned) {
  const Json golden = golden_numbers();
  for (const Json& c : golden.at("permutations").as_array()) {
    const Permutation permutation(u64(c.at("seed")), u64(c.at("epoch")), u64(c.at("n")));
    ASSERT_EQ(permutation.size(), c.at("order").size());
    for (std::size_t i = 0; i < permutation.size(); ++i) EXPECT_EQ(permutation(i), u64(c.at("order").at(i)));
  }
  for (const Json& c : golden.at("large").as_array()) {
    const Permutation permutation(u64(c.at("seed")), u64(c.at("epoch")), u64(c.at("n")));
    for (std::size_t i = 0; i < 8; ++i) EXPECT_EQ(permutation(i), u64(c.at("first").at(i)));
  }
}

TEST(Random, PermutationsAreBijections) {
  for (std::uint64_t n = 1; n <= 300; ++n) {
    std::set<std::uint64_t> seen;
    const Permutation permutation(5, n % 3, n);
    for (std::uint64_t i = 0; i < n; ++i) seen.insert(permutation(i));
    EXPECT_EQ(seen.size(), n);
    EXPECT_EQ(*seen.rbegin(), n - 1);
  }
  std::vector<bool> seen(100'003);
  const Permutation permutation(9, 9, seen.size());
  for (std::uint64_t i = 0; i < seen.size(); ++i) seen[permutation(i)] = true;
  EXPECT_EQ(std::count(seen.begin(), seen.end(), true), 100'003);
}

// Over many seeds a record lands everywhere equally often: chi-squared with 6 degrees of freedom stays
// below 22.46 in 99.9% of cases; keys are fixed, so the test always gives the same answer.
TEST(Random, PermutationsAreFair) {
  constexpr std::size_t kN = 7, kSeeds = 7000;
  for (std::uint64_t record = 0; record < kN; ++record) {
    std::vector<double> count(kN);
    for (std::uint64_t seed = 0; seed < kSeeds; ++seed) ++count[Permutation(seed, 1, kN)(record)];
    double chi2 = 0;
    for (const double c : count) chi2 += (c - kSeeds / kN) * (c - kSeeds / kN) / (kSeeds / kN);
    EXPECT_LT(chi2, 22.46) << record;
  }
}

TEST(Random, PositionsRunOnThroughEpochs) {
  for (std::uint64_t position = 0; position < 50; ++position)
    EXPECT_EQ(record_at(3, position, 10), Permutation(3, position / 10, 10)(position % 10));
  std::vector<std::uint64_t> first, second;
  for (std::uint64_t i = 0; i < 10; ++i) {
    first.push_back(record_at(3, i, 10));
    second.push_back(record_at(3, i + 10, 10));
  }
  EXPECT_NE(first, second);
}

TEST(Random, UniformHasTheMomentsOfUniform) {
  constexpr int kDraws = 100'000;
  double sum = 0, squares = 0;
  for (std::uint64_t i = 0; i < kDraws; ++i) {
    const double u = uniform({.seed = 1, .site = 2, .position = i});
    ASSERT_GT(u, 0);
    ASSERT_LT(u, 1);
    sum += u;
    squares += u * u;
  }
  EXPECT_NEAR(sum / kDraws, 1.0 / 2, 5 * std::sqrt(1.0 / 12 / kDraws));
  EXPECT_NEAR(squares / kDraws, 1.0 / 3, 5 * std::sqrt(4.0 / 45 / kDraws));
}

TEST(Random, EveryPartOfTheKeyMatters) {
  const RandomKey base{1, 2, 3, 4, 5, 6};
  std::set<std::array<std::uint32_t, 4>> seen{random_bits(base)};
  for (int bit = 0; bit < 64; ++bit) {
    const std::uint64_t flip = std::uint64_t{1} << bit;
    RandomKey key = base;
    key.seed ^= flip, seen.insert(random_bits(key)), key = base;
    key.step ^= flip, seen.insert(random_bits(key)), key = base;
    key.record ^= flip, seen.insert(random_bits(key)), key = base;
    key.position ^= flip, seen.insert(random_bits(key)), key = base;
    if (bit >= 32) continue;
    key.sample ^= static_cast<std::uint32_t>(flip), seen.insert(random_bits(key)), key = base;
    key.site ^= static_cast<std::uint32_t>(flip), seen.insert(random_bits(key));
  }
  EXPECT_EQ(seen.size(), 1u + 4 * 64 + 2 * 32);
}

TEST(Random, RefusesWhatDoesNotExist) {
  EXPECT_EQ(testing::error_of([] { Permutation(1, 0, 0); }),
            "a permutation needs at least one record, not 0");
  EXPECT_EQ(testing::error_of([] { Permutation(1, 0, 3)(3); }), "a permutation of 3 records has no record 3");
  EXPECT_NE(testing::error_of([] { record_at(1, 5, 0); }), "");
}

}  // namespace
}  // namespace prefer
