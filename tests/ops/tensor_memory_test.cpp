// The range of large tensors: parts never overlap, join again, and a step fits where the last one lay.
#include "prefer/ops/tensor_memory.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"
#include "prefer/tensor.hpp"

#include <gtest/gtest.h>

#include <map>
#include <vector>

namespace prefer {
namespace {

TEST(FreeSpace, TakesTheSmallestPartThatFitsAndJoinsNeighbours) {
  FreeSpace space(64);
  const int64_t a = space.take(1000), b = space.take(64), c = space.take(3072), d = space.take(1);
  EXPECT_EQ(a, 0);
  EXPECT_EQ(b, 1024);
  EXPECT_EQ(c, 1088);
  EXPECT_EQ(d, 4160);
  space.give(a);
  space.give(c);
  EXPECT_EQ(space.take(1024), a);  // fits c's place too, and fits a's exactly
  EXPECT_EQ(space.take(1025), c);
  space.give(a);
  space.give(b);  // a and b are one part now
  EXPECT_EQ(space.take(1088), a);
  EXPECT_EQ(space.end(), 4224);
  EXPECT_THROW(space.give(b), Error);
}

TEST(FreeSpace, WhatIsFreeAtTheEndGrows) {
  FreeSpace space(64);
  const int64_t a = space.take(64), b = space.take(64);
  space.give(b);
  EXPECT_EQ(space.take(6400), b);
  space.give(a);
  EXPECT_EQ(space.taken(), 6400);
  EXPECT_EQ(space.end(), 6464);
}

TEST(FreeSpace, WhatHasNoRoomTakesNothing) {
  FreeSpace space(64, 1024);
  const int64_t a = space.take(512);
  EXPECT_EQ(space.take(513), -1);
  EXPECT_EQ(space.taken(), 512);
  EXPECT_EQ(space.take(512), 512);
  space.give(a);
  EXPECT_EQ(space.take(576), -1);
  EXPECT_EQ(space.take(500), a);
  EXPECT_EQ(space.end(), 1024);
}

TEST(FreeSpace, PartsNeverOverlapAndAllComesBack) {
  FreeSpace space(64);
  std::map<int64_t, int64_t> parts;
  uint64_t draw = 0;
  const auto number = [&](int64_t below) {
    return static_cast<int64_t>(uniform({7, draw++, 0, 0, random_site::kGenerate, 0}) *
                                static_cast<double>(below));
  };
  for (int i = 0; i < 20000; ++i) {
    if (parts.size() > 100 || (!parts.empty() && number(2) == 0)) {
      const auto at = std::next(parts.begin(), number(static_cast<int64_t>(parts.size())));
      space.give(at->first);
      parts.erase(at);
    } else {
      const int64_t size = 1 + number(5000), begin = space.take(size);
      const auto [at, is_new] = parts.emplace(begin, size);
      ASSERT_TRUE(is_new);
      if (at != parts.begin()) {
        ASSERT_LE(std::prev(at)->first + std::prev(at)->second, begin);
      }
      if (std::next(at) != parts.end()) {
        ASSERT_LE(begin + size, std::next(at)->first);
      }
    }
  }
  for (const auto& [begin, _] : parts) space.give(begin);
  EXPECT_EQ(space.taken(), 0);
  const int64_t end = space.end();
  EXPECT_EQ(space.take(end), 0);  // one part again
  EXPECT_EQ(space.end(), end);
}

TEST(TensorMemory, LargeTensorsShareARangeAndGiveItBack) {
  const Tensor before = at::ones({1 << 16});
  ASSERT_TRUE(keep_large_tensors_together());
  ASSERT_TRUE(keep_large_tensors_together());
  const auto address = [](const Tensor& t) { return static_cast<const char*>(t.const_data_ptr()); };
  Tensor a = at::full({1 << 16}, 2.0), b = at::full({1 << 16}, 3.0);
  EXPECT_EQ(address(b) - address(a), 4 << 16);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(address(a)) % 64, 0);
  const char* place = address(a);
  a = Tensor();
  EXPECT_THROW(at::empty({int64_t{1} << 50}), Error);  // and the next may have what there is
  a = at::full({1 << 16}, 4.0);
  EXPECT_EQ(address(a), place);
  EXPECT_EQ(b.sum().item<float>(), 3.0F * (1 << 16));
  EXPECT_EQ(before.sum().item<float>(), 1.0F * (1 << 16));
  const Tensor small = at::ones({16});
  EXPECT_TRUE(address(small) < place || address(small) > address(b));
}

}  // namespace
}  // namespace prefer
