// Philox4x32-10 against the known-answer vectors published with Random123 (kat_vectors, lines "philox4x32
// 10").
#include "kernels/philox.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels {
namespace {

struct KnownAnswer {
  Words<4> counter;
  Words<2> key;
  Words<4> random;
};

constexpr KnownAnswer kAnswers[] = {
    {{{0, 0, 0, 0}}, {{0, 0}}, {{0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8}}},
    {{{0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff}},
     {{0xffffffff, 0xffffffff}},
     {{0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd}}},
    {{{0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344}},
     {{0xa4093822, 0x299f31d0}},
     {{0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1}}},
};

TEST(Philox, GivesThePublishedKnownAnswers) {
  for (const KnownAnswer& answer : kAnswers) {
    const Words<4> random = philox(answer.counter, answer.key);
    for (int i = 0; i < 4; ++i) EXPECT_EQ(random[i], answer.random[i]) << "word " << i;
  }
}

TEST(Philox, IsAConstantExpression) {
  constexpr Words<4> random = philox({{0, 0, 0, 0}}, {{0, 0}});
  static_assert(random[0] == 0x6627e8d5);
}

}  // namespace
}  // namespace prefer::kernels
