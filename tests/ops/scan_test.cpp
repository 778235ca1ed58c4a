// gae over its boundaries: each token has its advantage, or the call is refused.
#include "prefer/ops/scan.hpp"

#include "support/error.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

TEST(Gae, WantsBoundariesThatHoldEveryToken) {
  const auto of = [](std::vector<int64_t> begin) {
    return gae(at::ones({3}), at::zeros({3}), tensor_of(begin, at::kLong), 1, 1);
  };
  EXPECT_TRUE(at::equal(of({0, 1, 3}).advantage, tensor_of(std::vector<float>{1, 2, 1}, at::kFloat)));
  const char* wants = "gae wants boundaries from 0 to 3, the number of tokens, not from ";
  EXPECT_EQ(testing::error_of([&] { of({1, 3}); }), wants + std::string("1 to 3"));
  EXPECT_EQ(testing::error_of([&] { of({0, 2}); }), wants + std::string("0 to 2"));
}

}  // namespace
}  // namespace prefer
