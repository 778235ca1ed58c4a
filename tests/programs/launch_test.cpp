// Which rank launch names when several fail, and what it does with processes that ranks leave behind.
#include "support/program.hpp"

#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace prefer::testing {
namespace {

using Clock = std::chrono::steady_clock;

TEST(Launch, NamesTheFirstThatFailedInTimeNotByNumber) {
  const Ran ran =
      run("launch", {"n=3", "--", "sh", "-c", "if [ $RANK = 2 ]; then exit 3; fi; sleep 1.5; exit 4"});
  EXPECT_EQ(ran.code, 3);
  EXPECT_EQ(ran.err, "error: rank 2, starting: ended with exit code 3\n");
}

TEST(Launch, NamesTheRankThatFailedWhileOthersStoppedAsAsked) {
  Program program("launch", {"n=2", "all_output=true", "--", "sh", "-c",
                             "if [ $RANK = 1 ]; then trap 'sleep 0.5; exit 5' TERM; fi; echo ready >&2; "
                             "while :; do sleep 0.1; done"});
  const auto ready = [&](const char* rank) { return program.written("err").find(rank) != std::string::npos; };
  const auto begin = Clock::now();
  while (!(ready("[0] ready") && ready("[1] ready")) && Clock::now() - begin < std::chrono::seconds(30))
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
  program.signal(SIGTERM);
  const Ran ran = program.end();
  EXPECT_EQ(ran.code, 5);
  EXPECT_NE(ran.err.find("error: rank 1, starting: ended with exit code 5\n"), std::string::npos) << ran.err;
}

TEST(Launch, EndsWhatARankLeavesBehindAndDoesNotWaitForWhatHasLeftIt) {
  for (const char* left : {"sleep 30 & exit 0", "setsid sleep 30 & sleep 0.2; exit 0"}) {
    const auto begin = Clock::now();
    EXPECT_EQ(run("launch", {"n=1", "--", "sh", "-c", left}).code, 0) << left;
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(15)) << left;
  }
}

}  // namespace
}  // namespace prefer::testing
