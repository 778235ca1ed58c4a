// What programs refuse: every malformed input of the table, and runs that are not the ones that were begun.
#include "support/data.hpp"
#include "support/program.hpp"
#include "tests/malformed/table.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {
namespace {

/// A run of a program in a folder of its own.
Ran run_in(const std::string& folder, const Malformed& malformed) {
  CommandLine command;
  for (const std::string& word : command_of(malformed)) command.push_back(placed(word, folder));
  return run(malformed.program, command);
}

/// What the errors of bad records end with, where a program has the key.
constexpr std::string_view kWayOn = "; on_bad=skip leaves such records out and counts them\n";

/// One line of error, after what was said before; nothing on stdout; and no file made, changed or removed.
void expect_refused(const std::string& folder, const Malformed& malformed) {
  const Files before = files_below(folder);
  const Ran ran = run_in(folder, malformed);
  EXPECT_EQ(ran.code, 1) << ran.err;
  EXPECT_EQ(ran.out, "");
  std::string said = ran.err.substr(std::min(ran.err.find("error: "), ran.err.size()));
  const bool skips =
      malformed.program != "score" && malformed.program != "tokenize" && malformed.program != "generate";
  if (skips && said.ends_with(kWayOn)) said.replace(said.size() - kWayOn.size(), kWayOn.size(), "\n");
  std::string line = "error: " + placed(malformed.line, folder) + "\n";
  EXPECT_EQ(said.find('\n') + 1, said.size()) << ran.err;
  if (const std::size_t more = line.find("...\n"); more != std::string::npos) {
    line.resize(more);
    said.resize(std::min(more, said.size()));
  }
  EXPECT_EQ(said, line) << ran.err;
  const Files after = files_below(folder);
  EXPECT_TRUE(before == after) << before.size() << " files became " << after.size();
}

/// What only programs see, and a share of what tests/malformed puts to the readers, as each costs a start of
/// 0.3 s.
std::vector<Malformed> for_programs() {
  constexpr std::size_t kEach = 16;
  std::vector<Malformed> all;
  std::size_t seen_by_readers = 0;
  for (Malformed& malformed : all_malformed())
    if (malformed.seen == Seen::by_program || seen_by_readers++ % kEach == 0 ||
        std::getenv("PREFER_WHOLE_TABLE"))
      all.push_back(std::move(malformed));
  return all;
}

class EachProgram : public ::testing::TestWithParam<Malformed> {};

TEST_P(EachProgram, RefusesInOneLine) {
  const TempDir dir;
  put_files(GetParam(), dir.string());
  expect_refused(dir.string(), GetParam());
}

INSTANTIATE_TEST_SUITE_P(Malformed, EachProgram, ::testing::ValuesIn(for_programs()),
                         [](const auto& each) { return each.param.name; });

TEST(Refusals, OfABadRecordNamesTheWayOnAndOfAMissingFileNone) {
  const std::map<std::string, bool> names = {
      {R"({"prompt": 3)", true}, {R"({"prompt": "a"})", true}, {"[1", false}};
  for (const auto& [lines, named] : names) {
    for (const char* program : {"sft", "kto", "dpo", "reward"}) {
      const TempDir dir;
      put_files({"", program, "", {{"pairs.jsonl", lines}, {"texts.jsonl", lines}}}, dir.string());
      const Ran ran = run_in(dir.string(), {"", program, ""});
      EXPECT_EQ(ran.code, 1);
      EXPECT_EQ(ran.err.ends_with(kWayOn), named) << ran.err;
    }
  }
}

TEST(Refusals, BadPairsAreSkippedAndCountedWhereAsked) {
  std::string lines;
  int bad = 0;
  for (const Malformed& each : pair_cases()) {
    if (!each.name.starts_with("pair_")) continue;
    lines += each.files.at("pairs.jsonl");
    ++bad;
  }
  const TempDir dir;
  put_files({"", "dpo", "", {{"pairs.jsonl", "\n" + lines}}}, dir.string());
  const Ran ran = run_in(dir.string(), {"", "dpo", "", {}, {"on_bad=skip"}});
  EXPECT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find(std::to_string(bad) + " skipped: "), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("; 1 blank line\n"), std::string::npos) << ran.err;
}

TEST(Refusals, ARunThatIsNotTheOneThatWasBegun) {
  const TempDir dir;
  put_files({"", "dpo", "", {{"others.jsonl", std::string(kPair) + "\n"}}}, dir.string());
  const Ran begun = run_in(dir.string(), {"", "dpo", ""});
  ASSERT_EQ(begun.code, 0) << begun.err;
  const std::string since = " since @/out/checkpoint-1; put it back, or choose another output";
  const std::vector<Malformed> table = {
      {"", "dpo",
       "output @/out is in use: it holds checkpoint-1; resume=true continues, or choose another folder"},
      {"",
       "dpo",
       "resume=true, but loss.beta was 0.1 and is 0.2" + since,
       {},
       {"resume=true", "loss.beta=0.2"}},
      {"",
       "dpo",
       "resume=true, but loss.name was \"dpo\" and is \"ipo\"" + since,
       {},
       {"resume=true", "loss.name=ipo"}},
      {"",
       "dpo",
       "resume=true, but the contents of train have changed" + since,
       {},
       {"resume=true", "train=@/others.jsonl"}},
      {"",
       "dpo",
       "resume=true, but eval was not given and is" + since,
       {},
       {"resume=true", "eval=@/pairs.jsonl"}},
  };
  for (Malformed malformed : table) {
    malformed.arguments.push_back("steps=2");
    expect_refused(dir.string(), malformed);
  }
}

TEST(Refusals, OutputThatCannotBeWritten) {
  const TempDir dir;
  put_files({}, dir.string());
  const std::string command = std::string(PREFER_BIN_DIR "/tokenize model=") + (dir / "model") +
                              " input=" + (dir / "in.jsonl") + " > /dev/full 2> " + (dir / "err");
  const int status = std::system(command.c_str());
  PosixFs fs;
  EXPECT_EQ(WEXITSTATUS(status), 1);
  EXPECT_EQ(read_file(fs, dir / "err", 1 << 16), "error: could not write to the standard output\n");
}

}  // namespace
}  // namespace prefer::testing
