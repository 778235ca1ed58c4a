// Records to score and to convert: the tokens that a trainer reads of the same record, and what both refuse.
#include "prefer/data/inputs.hpp"

#include "prefer/data/supervised.hpp"
#include "support/error.hpp"
#include "support/letters.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace prefer {
namespace {

using testing::chats;
using testing::error_of;
using testing::MemoryFs;

/// As for a reward model, for which EOS ends completions as it does for trainers.
ScoredText scored(const std::string& line) {
  return scored_text_from_json(parse_json(line, "r"), chats(), Specials::plain, true);
}

/// What sft makes of the record.
Sequence learnt(const std::string& line) {
  MemoryFs fs;
  fs.put("r", line + "\n");
  return load_demonstrations(fs, "r", chats(), {}, OnBad::stop).texts.at(0).sequence;
}

/// The end token as a full stop.
std::string text(const std::vector<std::int32_t>& tokens) {
  std::string text;
  for (const std::int32_t id : tokens) text += id == 27 ? '.' : static_cast<char>('a' + id);
  return text;
}

const std::string kSystem = R"({"role": "system", "content": "x"})",
                  kAsked = R"({"role": "user", "content": "b"})",
                  kSaid = R"({"role": "assistant", "content": "c"})";

TEST(Inputs, ToScoreAreTheTokensThatATrainerReads) {
  const std::string repeated =
      R"("prompt": [)" + kAsked + R"(], "completion": [)" + kAsked + ", " + kSaid + "]}";
  EXPECT_EQ(text(scored("{" + repeated).tokens), "ub.ac.");
  for (const std::string& record : std::vector<std::string>{
           R"({"prompt": "ab", "completion": "cd"})",
           R"({"system": "a", "prompt": "ab", "completion": "cd"})",
           R"({"tools": {"name": "y"}, "prompt": "ab", "completion": "cd"})",
           R"({"prompt": [)" + kAsked + R"(], "completion": [)" + kSaid + "]}", "{" + repeated,
           R"({"prompt": )" + kAsked + R"(, "completion": )" + kSaid + "}",
           R"({"prompt": [)" + kAsked + R"(], "completion": [)" + kSystem + ", " + kAsked + ", " + kSaid +
               "]}",
           R"({"system": "x", )" + repeated, R"({"tools": [{"name": "y"}], )" + repeated}) {
    const ScoredText made = scored(record);
    const Sequence wanted = learnt(record);
    EXPECT_EQ(text(made.tokens), text(wanted.tokens)) << record;
    EXPECT_EQ(static_cast<std::int64_t>(made.counted), wanted.scored.at(0).begin) << record;
  }
}

TEST(Inputs, ToScoreAreRefusedAsATrainerRefusesThem) {
  const std::string asked = R"({"prompt": [)" + kAsked + R"(], "completion": )";
  for (const std::string& record : std::vector<std::string>{
           R"({"system": "x", "prompt": "ab", "completion": "cd"})", R"({"system": "x", "text": "ab"})",
           asked + R"("c"})", asked + kAsked + "}", asked + "[" + kSaid + ", " + kAsked + "]}",
           asked + R"([{"role": "user", "content": "d"}, )" + kSaid + "]}",
           R"({"tools": {"name": "y"}, "messages": [)" + kAsked + ", " + kSaid + "]}"}) {
    const std::string said = error_of([&] { scored(record); });
    EXPECT_NE(said, "") << record;
    EXPECT_EQ(said, error_of([&] { learnt(record); })) << record;
  }
  EXPECT_EQ(error_of([&] { scored(asked + "[]}"); }), "r:1:1: the completion is empty");
}

TEST(Inputs, OfAnEmptyCompletionAreScored) {
  EXPECT_EQ(text(scored(R"({"prompt": "ab", "completion": ""})").tokens), "ab.");
  const std::string silence = R"([{"role": "assistant", "content": ""}])";
  EXPECT_EQ(text(scored(R"({"prompt": [)" + kAsked + R"(], "completion": )" + silence + "}").tokens),
            "ub.a.");
}

TEST(Inputs, ToConvertDoNotLoseTheirSystem) {
  const auto convert = [](const std::string& line) {
    return dump(converted_from_json(parse_json(line, "r"), chats(), Specials::plain));
  };
  EXPECT_EQ(convert(R"({"text": "ab", "system": "b"})"), R"({"ids":[0,1]})");
  EXPECT_EQ(error_of([&] { convert(R"({"text": "ab", "system": "x"})"); }),
            "r:1:26: \"system\" beside texts is not read: put it into the text, or give messages");
}

}  // namespace
}  // namespace prefer
