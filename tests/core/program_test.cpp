// How programs end.
#include "prefer/core/program.hpp"

#include "prefer/core/error.hpp"

#include <gtest/gtest.h>

#include <csignal>
#include <stdexcept>

namespace prefer {
namespace {

/// The exit code of a program that does `body`; what it writes to the standard error output goes to `said`.
int ended(const std::function<void()>& body, std::string& said) {
  ::testing::internal::CaptureStderr();
  const int code = run_guarded(body);
  said = ::testing::internal::GetCapturedStderr();
  return code;
}

TEST(Program, EndsWithACodeForEachCause) {
  std::string said;
  EXPECT_EQ(ended([] {}, said), 0);
  EXPECT_EQ(said, "");
  EXPECT_EQ(ended([] { fail("wrong input"); }, said), 1);
  EXPECT_EQ(said, "error: wrong input\n");
  EXPECT_EQ(ended([] { throw std::logic_error("a bug"); }, said), 2);
  EXPECT_EQ(said, "internal error: a bug\n");
  EXPECT_EQ(ended([] { throw Stopped(SIGTERM); }, said), 143);
  EXPECT_EQ(ended([] { throw Stopped(0); }, said), 75);
}

TEST(Program, StoppedSaysByWhat) {
  EXPECT_STREQ(Stopped(SIGINT).what(), "stopped by a signal");
  EXPECT_STREQ(Stopped(0).what(), "paused by a hook");
}

}  // namespace
}  // namespace prefer
