// When a process warns of other work on its cores.
#include "prefer/trainers/process.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

TEST(OtherWork, IsWarnedOfWhereItWantsTheCoresThatThreadsWillHave) {
  EXPECT_EQ(
      warning_of_other_work(126.96, 2, 1, 128).rfind("other work wanted 127.0 cores in the last minute", 0),
      0U);
  EXPECT_EQ(warning_of_other_work(1, 2, 1, 2).rfind("other work wanted 1.0 cores", 0), 0U);
  EXPECT_EQ(warning_of_other_work(126, 2, 1, 128), "");
  EXPECT_EQ(warning_of_other_work(3, 4, 1, 8), "");
  EXPECT_NE(warning_of_other_work(3, 4, 2, 8), "");
  EXPECT_EQ(warning_of_other_work(0.5, 2, 1, 2), "");  // what a shell leaves
  EXPECT_EQ(warning_of_other_work(8, 1, 2, 2), "");    // one thread waits for none
}

}  // namespace
}  // namespace prefer
