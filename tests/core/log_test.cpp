// The log: levels, formats that are not formats, and copies that share a place.
#include "prefer/core/log.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace prefer {
namespace {

TEST(Log, WritesFromItsLevelOn) {
  std::vector<std::string> lines;
  const Log log(LogLevel::info, [&](std::string_view line) { lines.emplace_back(line); });
  const Log copy = log;
  log.debug("not shown");
  log.info("step ", 3, " of ", 4.5);
  copy.warning("{} %s {0}");
  log.error("");
  EXPECT_EQ(lines, (std::vector<std::string>{"info: step 3 of 4.5", "warning: {} %s {0}", "error: "}));
}

TEST(Log, CanBeSilent) {
  std::size_t lines = 0;
  const Log log(LogLevel::silent, [&](std::string_view) { ++lines; });
  log.error("x");
  EXPECT_EQ(lines, 0u);
}

TEST(Log, GoesToStderrOnly) {
  ::testing::internal::CaptureStderr();
  ::testing::internal::CaptureStdout();
  Log().info("hello");
  EXPECT_EQ(::testing::internal::GetCapturedStdout(), "");
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("info: hello\n"), std::string::npos);
}

}  // namespace
}  // namespace prefer
