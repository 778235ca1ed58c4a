// The rules of the house that a file shows by its text alone: a purpose in the first line, a bounded length,
// nothing left open.
#include "tests/house/tree.hpp"

#include <gtest/gtest.h>

namespace prefer::house {
namespace {

const std::vector<std::string> kShipped = {"kernels", "include", "src", "examples"};
const std::vector<std::string> kAll = {"kernels", "include", "src", "examples", "tests", "benchmarks"};
constexpr std::size_t kLongest = 400;  // lines

bool says_its_purpose(const SourceFile& file) {
  static const std::regex comment(R"(^// \S.{14,}$)");
  return !file.lines.empty() && std::regex_match(file.lines[0], comment);
}

/// A mark of unfinished work. Put together from pieces, so that this file does not show it.
bool is_left_open(const std::string& line) {
  static const std::regex mark(std::string(R"(\b(TO)") + R"(DO|FIX)" + R"(ME|X)" + R"(XX|HA)" + R"(CK)\b)");
  return std::regex_search(line, mark);
}

TEST(Style, TheFirstLineSaysThePurpose) {
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, kAll)) {
    EXPECT_TRUE(says_its_purpose(file))
        << file.path << " begins with: " << (file.lines.empty() ? "" : file.lines[0]);
  }
  EXPECT_FALSE(says_its_purpose({"x.hpp", {"#pragma once", "// A header that begins with something else."}}));
  EXPECT_FALSE(says_its_purpose({"x.hpp", {"// a"}}));
}

TEST(Style, NoFileIsTooLong) {
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, kShipped)) {
    EXPECT_LE(file.lines.size(), kLongest) << file.path;
  }
}

TEST(Style, HeadersAreShort) {  // median <= 90 lines, nine in ten <= 250
  std::vector<std::size_t> lengths;
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, {"kernels", "include"})) {
    if (file.path.ends_with(".hpp")) lengths.push_back(file.lines.size());
  }
  ASSERT_FALSE(lengths.empty());
  std::sort(lengths.begin(), lengths.end());
  EXPECT_LE(lengths[lengths.size() / 2], 90u);
  EXPECT_LE(lengths[lengths.size() * 9 / 10], 250u);
}

TEST(Style, HeadersGuardThemselves) {
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, kAll)) {
    if (!file.path.ends_with(".hpp") && !file.path.ends_with(".cuh")) continue;
    EXPECT_NE(std::find(file.lines.begin(), file.lines.end(), "#pragma once"), file.lines.end()) << file.path;
  }
}

TEST(Style, NothingIsLeftOpen) {
  for (const SourceFile& file : read_tree(PREFER_SOURCE_DIR, kAll)) {
    for (std::size_t i = 0; i < file.lines.size(); ++i) {
      EXPECT_FALSE(is_left_open(file.lines[i])) << file.path << ":" << i + 1 << ": " << file.lines[i];
    }
  }
  EXPECT_TRUE(is_left_open(std::string("// TO") + "DO: later"));
}

}  // namespace
}  // namespace prefer::house
