// Prompts: what is asked of records of each form, and what is refused of them with its place.
#include "prefer/data/questions.hpp"

#include "support/error.hpp"
#include "support/letters.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::chats;
using testing::error_of;
using testing::MemoryFs;

std::vector<Question> load(const std::string& lines, Skipped& skipped, OnBad on_bad) {
  MemoryFs fs;
  fs.put("q.jsonl", lines);
  return load_questions(fs, "q.jsonl", chats(), {on_bad}, skipped);
}

Question asked(const std::string& line) {
  Skipped none;
  return load(line, none, OnBad::stop).at(0);
}

/// What the model reads, the end token as a full stop.
std::string read(const std::string& line) {
  std::string text;
  for (const std::int32_t id : asked(line).tokens) text += id == 27 ? '.' : static_cast<char>('a' + id);
  return text;
}

std::string complaint(const std::string& line) {
  return error_of([&] { asked(line); });
}

const std::string kAsked = R"({"role": "user", "content": "b"})",
                  kSaid = R"({"role": "assistant", "content": "c"})";

TEST(Questions, OfAConversationAreWhatStandsBeforeItsLastAnswer) {
  EXPECT_EQ(read(R"({"messages": [)" + kAsked + "]}"), "ub.a");
  EXPECT_EQ(read(R"({"messages": [)" + kAsked + ", " + kSaid + "]}"), "ub.a");
  EXPECT_EQ(
      read(R"({"messages": [)" + kAsked + ", " + kSaid + ", " + kAsked + ", " + kSaid + ", " + kSaid + "]}"),
      "ub.ac.ub.a");
  EXPECT_EQ(asked(R"({"messages": [)" + kAsked + ", " + kSaid + "]}").text, "b");
  EXPECT_EQ(complaint(R"({"messages": [)" + kSaid + "]}"),
            "q.jsonl:1:1: there is no prompt: all messages are the assistant's");
}

TEST(Questions, ThatBeginAnAnswerAreGoneOnWith) {
  EXPECT_EQ(read(R"({"prompt": [)" + kAsked + ", " + kSaid + "]}"), "ub.ac");
  EXPECT_EQ(read(R"({"prompt": "bc", "messages": null})"), "bc");
  EXPECT_EQ(read(R"({"prompt": null, "messages": [)" + kAsked + "]}"), "ub.a");
}

TEST(Questions, SeeTheRecordsSystemAndTools) {
  EXPECT_EQ(read(R"({"system": "x", "prompt": [)" + kAsked + "]}"), "sx.ub.a");
  EXPECT_EQ(read(R"({"tools": [{"name": "y"}], "messages": [)" + kAsked + "]}"), "y.ub.a");
  EXPECT_EQ(read(R"({"system": "", "tools": "[]", "prompt": "bc"})"), "bc");
  EXPECT_EQ(complaint(R"({"system": "x", "prompt": "bc"})"),
            "q.jsonl:1:12: \"system\" beside texts is not read: put it into the text, or give messages");
}

TEST(Questions, HandOnTheConversationThatIsAsked) {
  EXPECT_EQ(
      dump(*asked(R"({"system": "x", "id": 3, "messages": [)" + kAsked + ", " + kSaid + "]}").others),
      R"({"system":"x","id":3,"messages":[{"role":"system","content":"x"},{"role":"user","content":"b"}]})");
  const std::string parts = R"([{"role":"user","content":[{"type":"text","text":"b"}],"name":"y"}])";
  EXPECT_EQ(dump(*asked(R"({"prompt": )" + parts + "}").others), R"({"messages":)" + parts + "}");
  EXPECT_EQ(dump(*asked(R"({"prompt": "bc", "id": 3})").others), R"({"id":3})");
}

TEST(Questions, ThatTheTemplateRefusesHaveTheirPlaceAndAreSkipped) {
  const std::string lines = R"({"messages": [{"role": "user", "content": "no"}]})"
                            "\n"
                            R"({"messages": [)" +
                            kAsked + "]}\n";
  Skipped skipped;
  EXPECT_EQ(error_of([&] { load(lines, skipped, OnBad::stop); }).rfind("q.jsonl:1:1: chat_template:1:", 0),
            0U);
  const std::vector<Question> questions = load(lines, skipped, OnBad::skip);
  ASSERT_EQ(questions.size(), 1U);
  EXPECT_EQ(questions[0].place, "q.jsonl:2:1");
  EXPECT_EQ(questions[0].record, 0U);
  EXPECT_EQ(skipped.total(), 1);
}

}  // namespace
}  // namespace prefer
