// Preference records: every form, and real files. What is refused stands in tests/malformed.
#include "prefer/data/preference.hpp"

#include "tests/support/data.hpp"
#include "tests/support/error.hpp"
#include "tests/support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <fstream>

namespace prefer {
namespace {

using Messages = std::vector<Message>;
using testing::error_of;

Preference read(const std::string& json, Dialogues dialogues = Dialogues::as_messages) {
  return preference_from_json(parse_json(json, "p"), dialogues);
}

std::string text(const Words& words) { return std::get<std::string>(words); }
const Messages& chat(const Words& words) { return std::get<Messages>(words); }

TEST(PreferenceRecords, TextsWithAPrompt) {
  const Preference pair = read(R"({"prompt": "Q", "chosen": " a", "rejected": " b", "margin": 2.5,
                                  "metadata": {"score_chosen": 7}})");
  EXPECT_FALSE(pair.is_chat());
  EXPECT_EQ(text(pair.prompt) + text(pair.chosen) + text(pair.rejected), "Q a b");
  EXPECT_EQ(pair.score_chosen, 7);
  EXPECT_TRUE(std::isnan(pair.score_rejected));
  EXPECT_EQ(pair.margin, 2.5);
  EXPECT_EQ(pair.place, "p:1:1");
}

TEST(PreferenceRecords, ImplicitPromptsEndWhereTheAnswersDiffer) {
  const auto parts = [](const std::string& chosen, const std::string& rejected) {
    Json record;
    record.set("chosen", chosen).set("rejected", rejected);
    const Preference pair = preference_from_json(record, Dialogues::as_text);
    return text(pair.prompt) + "|" + text(pair.chosen) + "|" + text(pair.rejected);
  };
  EXPECT_EQ(parts("The sky is blue.", "The sky is green."), "The sky is| blue.| green.");
  EXPECT_EQ(parts("ab", "ac"), "a|b|c");
  EXPECT_EQ(parts("xa", "yb"), "|xa|yb");
  EXPECT_EQ(parts("Yes", "Yes, sir"), "Ye|s|s, sir");               // TRL's loop ends on the last character
  EXPECT_EQ(parts("caf\u00e9", "caf\u00e8"), "caf|\u00e9|\u00e8");  // the two share a byte of UTF-8
  EXPECT_EQ(parts("\n\nHuman: q\n\nAssistant: To be", "\n\nHuman: q\n\nAssistant: The"),
            "\n\nHuman: q\n\nAssistant:| To be| The");
}

TEST(PreferenceRecords, LlamaFactorysConversationIsThePrompt) {
  const Preference pair = read(R"({"conversations": [{"from": "human", "value": "Q"}],
                                  "chosen": {"from": "gpt", "value": "a"}, "rejected": {"from": "gpt", "value": "b"}})");
  EXPECT_EQ(chat(pair.prompt), (Messages{{"user", "Q", {}}}));
  EXPECT_EQ(chat(pair.chosen), (Messages{{"assistant", "a", {}}}));
  EXPECT_EQ(chat(pair.rejected), (Messages{{"assistant", "b", {}}}));
  EXPECT_EQ(error_of([] { read(R"({"messages": [], "chosen": "a", "rejected": "b"})"); }),
            "p:1:1: \"prompt\" is missing (the record has \"messages\", which is not read as one)");
}

TEST(PreferenceRecords, MessagesInEveryArrangement) {
  const std::string user = R"({"role": "user", "content": "Q"})";
  const auto said = [](const std::string& words) {
    return R"({"role": "assistant", "content": ")" + words + "\"}";
  };
  const std::string both =
      R"("chosen": [)" + user + "," + said("a") + R"(], "rejected": [)" + user + "," + said("b") + "]}";
  const std::string alone = R"("chosen": [)" + said("a") + R"(], "rejected": [)" + said("b") + "]}";
  for (const std::string& record :
       {"{" + both, R"({"prompt": "Q", )" + both, R"({"prompt": [)" + user + "], " + alone,
        R"({"prompt": "Q", )" + alone, R"({"prompt": [)" + user + R"(], "chosen": "a", "rejected": "b"})"}) {
    const Preference pair = read(record);
    EXPECT_EQ(chat(pair.prompt), (Messages{{"user", "Q"}})) << record;
    EXPECT_EQ(chat(pair.chosen), (Messages{{"assistant", "a"}})) << record;
    EXPECT_EQ(chat(pair.rejected), (Messages{{"assistant", "b"}})) << record;
  }
}

TEST(PreferenceRecords, AnswersThatAreConversationsOpenThePair) {
  const std::string user = R"({"role": "user", "content": "Q"}, )",
                    system = R"({"role": "system", "content": "S"}, )";
  const auto pair = [](const std::string& prompt, const std::string& chosen, const std::string& rejected) {
    return read(R"({"prompt": ")" + prompt + R"(", "chosen": [)" + chosen +
                R"({"role": "assistant", "content": "a"}], "rejected": [)" + rejected +
                R"({"role": "assistant", "content": "b"}]})");
  };
  const Preference whole = pair("Q", system + user, system + user);
  EXPECT_EQ(chat(whole.prompt), (Messages{{"system", "S"}, {"user", "Q"}}));
  EXPECT_EQ(chat(whole.chosen), (Messages{{"assistant", "a"}}));
  EXPECT_EQ(chat(whole.rejected), (Messages{{"assistant", "b"}}));
  EXPECT_EQ(error_of([&] { pair("Q ", user, user); }),
            "p:1:1: chosen begins with a message of the user that is not the prompt's");
  EXPECT_EQ(error_of([&] { pair("Q", user, system); }),
            "p:1:1: rejected begins with a message of the system that is not the prompt's");
  EXPECT_EQ(error_of([&] { pair("Q", user, system + user); }),
            "p:1:1: chosen and rejected do not have the same messages before what they answer");
}

TEST(PreferenceRecords, AnswersMayGoOnAfterASystemMessageOrRepeatTheRestWithoutIt) {
  const std::string user = R"({"role": "user", "content": "Q"})",
                    system = R"({"role": "system", "content": "S"})";
  const auto pair = [&](const std::string& prompt) {
    return read(R"({"prompt": [)" + prompt + R"(], "chosen": [)" + user +
                R"(, {"role": "assistant", "content": "a"}], "rejected": [)" + user +
                R"(, {"role": "assistant", "content": "b"}]})");
  };
  const Preference on = pair(system), without = pair(system + ", " + user);
  EXPECT_EQ(chat(on.prompt), (Messages{{"system", "S"}}));
  EXPECT_EQ(chat(on.chosen), (Messages{{"user", "Q"}, {"assistant", "a"}}));
  EXPECT_EQ(chat(without.prompt), (Messages{{"system", "S"}, {"user", "Q"}}));
  EXPECT_EQ(chat(without.rejected), (Messages{{"assistant", "b"}}));
}

TEST(PreferenceRecords, NotesOnAMessageAndPartsOfItsTextDoNotTellItApart) {
  const auto answer = [](const std::string& asked, const std::string& said) {
    return "[" + asked + R"(, {"from": "gpt", "value": ")" + said + "\"}]";
  };
  const std::string noted = R"({"from": "human", "value": "Q", "id": 1})",
                    other = R"({"from": "human", "value": "Q", "id": 2})",
                    parts = R"({"role": "user", "content": [{"type": "text", "text": "Q"}]})";
  for (const std::string& record :
       {R"({"chosen": )" + answer(noted, "a") + R"(, "rejected": )" + answer(other, "b"),
        R"({"prompt": "Q", "chosen": )" + answer(noted, "a") + R"(, "rejected": )" + answer(parts, "b")}) {
    const Preference pair = read(record + "}");
    ASSERT_EQ(chat(pair.prompt).size(), 1U) << record;
    EXPECT_EQ(chat(pair.prompt)[0].content, "Q");
    EXPECT_EQ(chat(pair.rejected), (Messages{{"assistant", "b"}}));
  }
  EXPECT_EQ(error_of([&] {
              read(R"({"prompt": "Q", "chosen": [{"from": "gpt", "value": "", "id": 7}], "rejected": "b"})");
            }),
            "p:1:1: chosen is empty");
}

TEST(PreferenceRecords, ASystemTextIsTheFirstMessage) {
  const std::string user = R"({"role": "user", "content": "Q"})",
                    system = R"({"role": "system", "content": "S"})";
  const auto said = [](const std::string& words) {
    return R"({"role": "assistant", "content": ")" + words + "\"}";
  };
  const auto answers = [&](const std::string& opening) {
    return R"("chosen": [)" + opening + said("a") + R"(], "rejected": [)" + opening + said("b") + "]}";
  };
  for (const std::string& record :
       {R"("prompt": "Q", )" + answers(""), R"("prompt": [)" + user + "], " + answers(""),
        R"("prompt": [)" + system + ", " + user + "], " + answers(""), answers(user + ", ")}) {
    const Preference pair = read(R"({"system": "S", )" + record);
    EXPECT_EQ(chat(pair.prompt), (Messages{{"system", "S"}, {"user", "Q"}})) << record;
    EXPECT_EQ(chat(pair.chosen), (Messages{{"assistant", "a"}})) << record;
  }
  EXPECT_EQ(
      error_of([&] { read(R"({"system": "T", "prompt": [)" + system + ", " + user + "], " + answers("")); }),
      "p:1:12: \"system\" is \"T\", and the messages begin with another: \"S\"");
  const std::string texts = R"("prompt": "Q", "chosen": "a", "rejected": "b"})";
  EXPECT_EQ(error_of([&] { read(R"({"system": "S", )" + texts); }),
            "p:1:12: \"system\" beside texts is not read: put it into the text, or give messages");
  EXPECT_FALSE(read(R"({"system": "Q", )" + texts).is_chat()) << "the text holds it already";
  for (const char* nothing : {"null", "\"\"", "\" \""})
    EXPECT_FALSE(read(R"({"system": )" + std::string(nothing) + ", " + texts).is_chat());
}

TEST(PreferenceRecords, ToolsAreAListOrItsText) {
  const std::string talk = R"("prompt": [{"role": "user", "content": "Q"}], "chosen": "a", "rejected": "b"})";
  for (const char* tools : {R"([{"name": "t"}])", R"("[{\"name\": \"t\"}]")"})
    EXPECT_EQ(dump(read(R"({"tools": )" + std::string(tools) + ", " + talk).tools), R"([{"name":"t"}])");
  for (const char* none : {"null", "[]", "{}", "\" \"", "\"null\"", "\"[]\""})
    EXPECT_TRUE(read(R"({"tools": )" + std::string(none) + ", " + talk).tools.is_null()) << none;
  for (const char* tool : {R"({"name": "t"})", R"("{\"name\": \"t\"}")"})
    EXPECT_TRUE(error_of([&] {
                  read(R"({"tools": )" + std::string(tool) + ", " + talk);
                }).ends_with(": tools are a list, not an object"))
        << tool;
  const std::string texts = R"("prompt": "Q", "chosen": "a", "rejected": "b"})";
  EXPECT_TRUE(read(R"({"tools": "[1]", )" + texts).tools.is_null()) << "a text says all there is to say";
}

TEST(PreferenceRecords, NullAndNumbersThatAreNoneAreNotGiven) {
  const Preference pair = read(R"({"prompt": null, "messages": null, "answers": null,
      "conversations": [{"from": "human", "value": "Q"}], "chosen": "a", "rejected": "b",
      "score_chosen": "7", "score_rejected": true, "margin": "wide"})");
  EXPECT_EQ(chat(pair.prompt), (Messages{{"user", "Q"}}));
  EXPECT_TRUE(std::isnan(pair.score_chosen));
  EXPECT_TRUE(std::isnan(pair.score_rejected));
  EXPECT_TRUE(std::isnan(pair.margin));
}

TEST(PreferenceRecords, DialoguesBecomeMessages) {
  const Preference pair = read(R"({"chosen": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant: yes",
                                   "rejected": "\n\nHuman: q\n\nAssistant: a\n\nHuman: r\n\nAssistant:no"})");
  EXPECT_EQ(chat(pair.prompt), (Messages{{"user", "q"}, {"assistant", "a"}, {"user", "r"}}));
  EXPECT_EQ(chat(pair.chosen), (Messages{{"assistant", "yes"}}));
}

class PreferenceFiles : public ::testing::Test {
 protected:
  std::string write(const std::string& name, const std::string& text) {
    const std::string path = folder_ / name;
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  testing::TempDir folder_;
  PosixFs fs_;
};

TEST_F(PreferenceFiles, StopAtTheFirstBadRecordOrSkipThemAll) {
  const std::string good = R"({"prompt": "Q", "chosen": "a", "rejected": "b"})";
  const std::string path =
      write("p.jsonl", good + "\n\n" + R"({"prompt": "Q", "chosen": "a", "rejected": "a"})" + "\n" +
                           "{\"prompt\": 1,}\n" + R"({"chosen": "a"})" + "\n" + good + "\n");
  Skipped none;
  EXPECT_EQ(error_of([&] { read_preferences(fs_, path, OnBad::stop, Dialogues::as_text, none); }),
            path + ":3:1: chosen equals rejected");
  Skipped skipped;
  EXPECT_EQ(read_preferences(fs_, path, OnBad::skip, Dialogues::as_text, skipped).size(), 2u);
  EXPECT_EQ(skipped.total(), 3);
  EXPECT_EQ(skipped.reasons.at("chosen equals rejected").first, std::vector{path + ":3:1"});
  EXPECT_EQ(skipped.reasons.at("\"rejected\" is missing").count, 1);
  EXPECT_NE(skipped.text().find("3 skipped: "), std::string::npos);
  EXPECT_NE(skipped.text().find(path + ":4:"), std::string::npos) << skipped.text();
}

TEST(Skipped, NamesAFileOnceWhereItsPlacesFollowEachOther) {
  Skipped skipped;
  for (const char* place : {"a.jsonl:4:1", "a.jsonl:9:12", "b.jsonl:2:1"}) skipped.add("empty", place);
  EXPECT_EQ(skipped.text(), "3 skipped: empty (3: a.jsonl:4:1, 9:12, b.jsonl:2:1)");
}

TEST_F(PreferenceFiles, AnArrayOnOneLineMayBeLongerThanALine) {
  const std::string pair =
      R"({"prompt": "Q", "chosen": "a", "rejected": ")" + std::string(1 << 20, 'b') + "\"}";
  std::string array = "[" + pair;
  for (int i = 0; i < 17; ++i) array += "," + pair;
  Skipped skipped;
  const auto pairs =
      read_preferences(fs_, write("p.json", array + "]"), OnBad::stop, Dialogues::as_text, skipped);
  EXPECT_EQ(pairs.size(), 18u);
}

TEST_F(PreferenceFiles, ArraysAreReadWithPlacesToo) {
  const std::string path =
      write("p.json",
            "\n[\n  {\"prompt\": \"Q\", \"chosen\": \"a\", \"rejected\": \"b\"},\n  {\"chosen\": 1}\n]\n");
  Skipped skipped;
  const auto pairs = read_preferences(fs_, path, OnBad::skip, Dialogues::as_text, skipped);
  ASSERT_EQ(pairs.size(), 1u);
  EXPECT_EQ(pairs[0].place, path + ":3:3");
  EXPECT_EQ(skipped.text(),
            "1 skipped: must be a string or a list of messages, not an integer (1: " + path + ":4:14)");
}

TEST_F(PreferenceFiles, HashesBeyond64SignedBitsDoNotMatter) {
  const std::string pair = R"({"prompt": "Q", "chosen": "a", "rejected": "b", "hash": 18446744073709551615})";
  for (const std::string& text : {pair, "[" + pair + "]"}) {
    Skipped skipped;
    EXPECT_EQ(read_preferences(fs_, write("p.json", text), OnBad::stop, Dialogues::as_text, skipped).size(),
              1u);
  }
}

TEST(PromptRecords, AreTextsOrMessages) {
  const auto prompt = [](const std::string& json) { return prompt_from_json(parse_json(json, "q")); };
  EXPECT_EQ(text(prompt(R"({"prompt": "Once", "messages": null})").words), "Once");
  const PromptRecord talk = prompt(R"({"prompt": null, "messages": [{"role": "user", "content": "Hi"}]})");
  EXPECT_EQ(chat(talk.words).at(0).content, "Hi");
  EXPECT_EQ(error_of([&] { prompt(R"({"prompt": []})"); }), "q:1:12: there are no messages");
}

TEST_F(PreferenceFiles, HelpfulBaseReadsWhole) {
  const auto path = testing::shared_data("preference/hh-rlhf/helpful-base.test.jsonl.gz");
  PREFER_NEEDS(path);
  Skipped skipped;
  const auto pairs = read_preferences(fs_, path.string(), OnBad::skip, Dialogues::as_messages, skipped);
  EXPECT_EQ(skipped.reasons.at("chosen equals rejected").count, 2);
  EXPECT_EQ(static_cast<std::int64_t>(pairs.size()) + skipped.total(), 2354) << skipped.text();
  std::size_t longer = 0;
  for (const Preference& pair : pairs) {
    ASSERT_TRUE(pair.is_chat());
    EXPECT_EQ(chat(pair.prompt).back().role,
              chat(pair.chosen).size() == 1 ? "user" : chat(pair.prompt).back().role);
    longer += chat(pair.chosen).size() > 1 || chat(pair.rejected).size() > 1;
  }
  EXPECT_EQ(longer, 9u);
}

TEST_F(PreferenceFiles, UltraFeedbackNamesItsBadPairs) {
  const auto path = testing::shared_data("preference/ultrafeedback/train_clean.jsonl.gz");
  PREFER_NEEDS(path);
  Skipped skipped;
  std::size_t pairs = 0;
  for (const char* file : {"train_clean.jsonl.gz", "eval_clean.jsonl.gz"}) {
    const auto one = (path.parent_path() / file).string();
    pairs += read_preferences(fs_, one, OnBad::skip, Dialogues::as_messages, skipped).size();
  }
  EXPECT_EQ(pairs, 1193u);
  EXPECT_EQ(skipped.reasons.at("chosen equals rejected").count, 5) << skipped.text();
  EXPECT_EQ(skipped.total(), 7) << skipped.text();
}

}  // namespace
}  // namespace prefer
