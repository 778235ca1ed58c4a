// Lines: numbers, ends, gzip whole and damaged at every byte.
#include "prefer/core/lines.hpp"

#include "prefer/core/random.hpp"
#include "support/builders.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>
#include <unistd.h>

#include <vector>

namespace prefer {
namespace {

using testing::error_of;
using testing::gzip;
using testing::MemoryFs;

struct Seen {
  std::vector<std::string> texts;
  std::vector<std::size_t> numbers, offsets;
  std::size_t lines = 0, blank = 0;
  std::string error;
};
Seen read(const std::string& bytes, const LineLimits& limits = {}, const std::string& name = "f.jsonl") {
  MemoryFs fs;
  fs.put(name, bytes);
  Seen seen;
  seen.error = error_of([&] {
    LineReader reader(fs, name, limits);
    for (Line line; reader.next(line);) {
      seen.texts.emplace_back(line.text);
      seen.numbers.push_back(line.number);
      seen.offsets.push_back(line.offset);
    }
    seen.lines = reader.lines();
    seen.blank = reader.blank_lines();
  });
  return seen;
}
using Texts = std::vector<std::string>;
using Numbers = std::vector<std::size_t>;

TEST(Lines, NumbersEndsAndBlanks) {
  const Seen seen = read("a\r\n\n  \t\nb\n\r\nc c");
  EXPECT_EQ(seen.error, "");
  EXPECT_EQ(seen.texts, (Texts{"a", "b", "c c"}));
  EXPECT_EQ(seen.numbers, (Numbers{1, 4, 6}));
  EXPECT_EQ(seen.offsets, (Numbers{0, 8, 12}));
  EXPECT_EQ(seen.lines, 6u);
  EXPECT_EQ(seen.blank, 3u);
  EXPECT_EQ(read("").texts, Texts{});
  EXPECT_EQ(read("\r\r\n \r\t\n").blank, 2u);
  EXPECT_EQ(read("\n").lines, 1u);
  EXPECT_EQ(read("x\n").texts, Texts{"x"});
  EXPECT_EQ(read("x").texts, Texts{"x"});
}

TEST(Lines, AByteOrderMarkIsSkipped) {
  EXPECT_EQ(read("\xef\xbb\xbf{}\n\xef\xbb\xbf{}").texts, (Texts{"{}", "\xef\xbb\xbf{}"}));
  EXPECT_EQ(read(gzip("\xef\xbb\xbf{}")).texts, Texts{"{}"});
}

TEST(Lines, WhiteSpaceAtTheBeginningIsLookedOverAndNotKept) {
  MemoryFs fs;
  fs.put("f.jsonl", gzip(std::string(1'000'000, '\n') + " [1]\n"));
  LineReader reader(fs, "f.jsonl", {.max_line = 1000});
  EXPECT_TRUE(reader.begins_with('['));
  EXPECT_GT(reader.blank_lines(), 800'000);  // stepped over: all but those of the last block
  Line line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(line.number, 1'000'001U);
  EXPECT_EQ(line.offset, 1'000'000U);
  EXPECT_EQ(line.text, " [1]");
  EXPECT_EQ(reader.blank_lines(), 1'000'000);

  fs.put("one_line.jsonl", gzip(std::string(1'000'000, ' ')));
  LineReader spaces(fs, "one_line.jsonl", {.max_line = 1000});
  EXPECT_FALSE(spaces.begins_with('['));
  EXPECT_EQ(error_of([&] { spaces.next(line); }), "one_line.jsonl:1:1: the line is longer than 1000 bytes");
}

TEST(Lines, LongLinesAreCapped) {
  const std::string text = "ab\n" + std::string(1'000'000, 'x') + "\ncd\n";
  EXPECT_EQ(read(text).texts.size(), 3u);
  EXPECT_EQ(read(text, {.max_line = 1'000'000}).error, "");
  const Seen seen = read(text, {.max_line = 999'999});
  EXPECT_EQ(seen.error, "f.jsonl:2:1: the line is longer than 999999 bytes");
  EXPECT_EQ(seen.texts, Texts{"ab"});
  EXPECT_NE(read(gzip(std::string(50'000'000, 'x'))).error, "");  // 49 KB packed: the cap holds memory down
  EXPECT_EQ(read(gzip(text), {.max_total = 500'000}).error,
            "f.jsonl:2:1: the file unpacks to more than 500000 bytes");
}

TEST(Lines, GzipMembersFollowOneAnother) {
  const std::string text = gzip("a\nb") + gzip("") + gzip("c\nd\n");
  EXPECT_EQ(read(text).texts, (Texts{"a", "bc", "d"}));
  EXPECT_EQ(read(text + std::string(512, '\0')).texts, (Texts{"a", "bc", "d"}));
  EXPECT_EQ(read(text, {}, "f.jsonl.gz").error, "");
  EXPECT_EQ(read("plain", {}, "f.jsonl.gz").error, "f.jsonl.gz: is no gzip file, as its name says");
  EXPECT_NE(read(text + "junk").error, "");
}

/// What is read of the standard input where it is a pipe of these few bytes.
Seen read_piped(const std::string& bytes) {
  int ends[2];
  EXPECT_EQ(pipe(ends), 0);
  EXPECT_EQ(write(ends[1], bytes.data(), bytes.size()), static_cast<ssize_t>(bytes.size()));
  close(ends[1]);
  const int before = dup(STDIN_FILENO);
  dup2(ends[0], STDIN_FILENO);
  close(ends[0]);
  const Seen seen = read("", {}, "-");
  dup2(before, STDIN_FILENO);
  close(before);
  return seen;
}

TEST(Lines, OfTheStandardInputAreUnpackedToo) {
  EXPECT_EQ(read_piped("a\nb").texts, (Texts{"a", "b"}));
  EXPECT_EQ(read_piped("a").texts, Texts{"a"});
  EXPECT_EQ(read_piped("\xef\xbb\xbf{}").texts, Texts{"{}"});
  EXPECT_EQ(read_piped("").texts, Texts{});
  EXPECT_EQ(read_piped("\x1f").texts, Texts{"\x1f"});
  EXPECT_EQ(read_piped(gzip("a\n") + gzip("b\n")).texts, (Texts{"a", "b"}));
  EXPECT_EQ(read_piped(gzip("a\n").substr(0, 2)).error,
            "-:1:1: gzip data end early; 0 good lines came before");
}

TEST(Lines, EveryTruncationOfGzipIsAnError) {
  std::string text;
  for (std::uint64_t i = 0; i < 200; ++i) text += std::to_string(random_bits({.position = i})[0]) + "\n";
  const std::string packed = gzip(text);
  for (std::size_t n = 2; n < packed.size(); ++n) {
    const Seen seen = read(packed.substr(0, n));
    const std::string good = std::to_string(seen.texts.size());
    EXPECT_EQ(seen.error, "f.jsonl:" + std::to_string(seen.texts.size() + 1) + ":1: gzip data end early; " +
                              good + " good lines came before")
        << n;
  }
  EXPECT_EQ(read(packed).texts.size(), 200u);
}

TEST(Lines, DamagedGzipIsAnError) {
  const std::string packed = gzip("first\nsecond\nthird\n");
  for (std::size_t bit = 0; bit < 32; ++bit) {  // the checksum, then the length
    std::string bad = packed;
    const std::size_t at = packed.size() - 8 + bit / 4;
    bad[at] = static_cast<char>(bad[at] ^ (1 << bit % 4));
    const Seen seen = read(bad);
    EXPECT_NE(seen.error.find(at < packed.size() - 4 ? "incorrect data check" : "incorrect length check"),
              std::string::npos)
        << seen.error;
  }
  for (std::size_t at = 2; at < packed.size(); ++at) {
    std::string bad = packed;
    bad[at] = static_cast<char>(~bad[at]);
    const Seen seen = read(bad);
    const bool header_only = at >= 4 && at < 10;  // time and system: nothing checks them
    EXPECT_EQ(seen.error.empty(), header_only) << at;
  }
}

TEST(Lines, RecordsKnowTheirPlace) {
  MemoryFs fs;
  fs.put("p.jsonl", "{\"a\":1}\n\n{\"a\":}\n id,text\n");
  LineReader reader(fs, "p.jsonl");
  Line line;
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(error_of([&] { reader.record(line).at("rejected"); }), "p.jsonl:1:1: \"rejected\" is missing");
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(error_of([&] { reader.record(line); }).rfind("p.jsonl:3:6: ", 0), 0u);
  ASSERT_TRUE(reader.next(line));
  EXPECT_EQ(error_of([&] { reader.record(line); }),
            "p.jsonl:4:2: a record is a line of JSON, {...}, and this line begins with \"id,text\"");
  EXPECT_FALSE(reader.next(line));
  EXPECT_FALSE(reader.next(line));
}

TEST(Lines, ReadsRealData) {
  const auto path = testing::shared_data("preference/hh-rlhf/helpful-base.test.jsonl.gz");
  PREFER_NEEDS(path);
  PosixFs fs;
  LineReader reader(fs, path.string());
  std::size_t records = 0;
  for (Line line; reader.next(line); ++records) EXPECT_TRUE(reader.record(line).at("chosen").is_string());
  EXPECT_EQ(records, 2354u);
}

}  // namespace
}  // namespace prefer
