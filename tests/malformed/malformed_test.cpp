// Every malformed input that a reader sees, read below the programs: under the sanitizers too.
#include "support/error.hpp"
#include "support/temp_dir.hpp"
#include "tests/malformed/readers.hpp"
#include "tests/malformed/table.hpp"

#include <gtest/gtest.h>

#include <set>

namespace prefer::testing {
namespace {

std::vector<Malformed> seen_by_readers() {
  std::vector<Malformed> all = all_malformed();
  std::erase_if(all, [](const Malformed& malformed) { return malformed.seen != Seen::by_readers; });
  return all;
}

std::string complaint(const Malformed& malformed) {
  const TempDir dir;
  put_files(malformed, dir.string());
  std::vector<std::string> command;
  for (const std::string& word : command_of(malformed)) command.push_back(placed(word, dir.string()));
  std::string line = error_of([&] { read_as(malformed.program, command); });
  for (std::size_t at; (at = line.find(dir / "")) != std::string::npos;)
    line.replace(at, (dir / "").size(), "@/");
  return line;
}

class Reader : public ::testing::TestWithParam<Malformed> {};

TEST_P(Reader, SaysOneLine) { EXPECT_EQ(complaint(GetParam()), GetParam().line); }

INSTANTIATE_TEST_SUITE_P(Malformed, Reader, ::testing::ValuesIn(seen_by_readers()),
                         [](const auto& each) { return each.param.name; });

TEST(Malformed, IsATableOfManyCasesEachWithItsName) {
  std::set<std::string> names;
  for (const Malformed& malformed : all_malformed())
    EXPECT_TRUE(names.insert(malformed.name).second) << malformed.name;
  EXPECT_GE(names.size(), 100u);
}

TEST(Malformed, BeginsWithFilesThatAreGood) {
  for (const char* program : {"dpo", "sft", "reward", "generate", "score", "tokenize"}) {
    Malformed good{"good", program, ""};
    if (program == std::string("generate")) good.files["in.jsonl"] = "{\"prompt\": \"a b\"}\n";
    EXPECT_EQ(complaint(good), "") << program;
  }
  EXPECT_EQ(complaint({"gguf", "score", "", {{"model.gguf", model_gguf()}}, {"model=@/model.gguf"}}), "");
  EXPECT_EQ(complaint({"model", "tokenize", "", {{"t.model", tokenizer_model()}}, {"model=@/t.model"}}), "");
}

}  // namespace
}  // namespace prefer::testing
