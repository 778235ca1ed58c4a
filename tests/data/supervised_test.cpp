// Demonstrations as tokens: every form of record, what is learnt of it, cuts, and whole real files.
#include "prefer/data/supervised.hpp"

#include "support/data.hpp"
#include "support/error.hpp"
#include "support/letters.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::ending_letters;
using testing::error_of;
using testing::MemoryFs;

/// Each turn is its role's first letter, its content and the end token.
SpanBuilder with_template() {
  return {ending_letters(),
          ChatTemplate("{% for m in messages %}{{ m.role[0] }}{{ m.content }}</s>{% endfor %}"
                       "{% if add_generation_prompt %}a{% endif %}")};
}

SupervisedData texts(const std::string& records, const SupervisedOptions& options = {}, bool chat = true) {
  MemoryFs fs;
  fs.put("texts.jsonl", records + "\n");
  return load_demonstrations(fs, "texts.jsonl", chat ? with_template() : SpanBuilder(ending_letters()),
                             options, OnBad::stop);
}

Dataset load(const std::string& records, const SupervisedOptions& options = {}, bool chat = true) {
  return as_dataset(texts(records, options, chat));
}

const char* close(const ScoredRange& range) { return range.term == Term::prompt ? "}" : "]"; }

/// The text of a record with what is learnt in brackets, of a prompt in braces; the end token is a full stop.
std::string marked(const std::string& record, const std::string& loss_on = "auto", bool chat = true,
                   const LengthOptions& length = {}) {
  const Dataset data = load(record, {loss_on, length}, chat);
  const Sequence& s = data.records.at(0).at(0);
  std::string text;
  for (std::int64_t t = 0; t < static_cast<std::int64_t>(s.tokens.size()); ++t) {
    for (const ScoredRange& range : s.scored)
      if (t == range.end) text += close(range);
    for (const ScoredRange& range : s.scored)
      if (t == range.begin) text += range.term == Term::prompt ? "{" : "[";
    const std::int32_t id = s.tokens[static_cast<std::size_t>(t)];
    text += id == 27 ? '.' : id == 26 ? ' ' : static_cast<char>('a' + id);
  }
  const bool to_the_end =
      !s.scored.empty() && s.scored.back().end == static_cast<std::int64_t>(s.tokens.size());
  return text + (to_the_end ? close(s.scored.back()) : "");
}

const char* const kConversation =
    R"({"messages": [{"role": "user", "content": "bc"}, {"role": "assistant", "content": "de"},
                     {"role": "user", "content": "fg"}, {"role": "assistant", "content": "hi"}]})";

TEST(Supervised, LearnsTheTurnsOfAConversationOrItsLastOrAllOfIt) {
  std::string record = kConversation;
  std::erase(record, '\n');
  EXPECT_EQ(marked(record), "ubc.a[de.]ufg.a[hi.]");
  EXPECT_EQ(marked(record, "assistant"), "ubc.a[de.]ufg.a[hi.]");
  EXPECT_EQ(marked(record, "last"), "ubc.ade.ufg.a[hi.]");
  EXPECT_EQ(marked(record, "all"), "u{bc.a}[de.]{ufg.a}[hi.]");
}

TEST(Supervised, AMessagesWeightIsThatOfItsTokens) {
  const auto conversation = [](const std::string& first, const std::string& second) {
    return R"({"messages": [{"role": "user", "content": "bc"}, {"role": "assistant", "content": "de")" +
           first + R"(}, {"role": "user", "content": "fg"}, {"role": "assistant", "content": "hi")" + second +
           "}]}";
  };
  EXPECT_EQ(marked(conversation(R"(, "weight": 0)", "")), "ubc.ade.ufg.a[hi.]");
  const std::string halved = conversation("", R"(, "weight": 0.5)");
  const std::vector<float> weights = {1, 1, 1, 0.5, 0.5, 0.5};
  EXPECT_EQ(load(halved).records.at(0).at(0).weight, weights);
  const SupervisedOptions short_ones{.length = {.max_length = 6, .truncation = "keep_end"}};
  EXPECT_EQ(load(R"({"text": "b"})"
                 "\n" +
                     halved,
                 short_ones)
                .records.at(1)
                .at(0)
                .weight,
            (std::vector<float>{0.5, 0.5, 0.5}));
  EXPECT_TRUE(load(conversation("", "")).records.at(0).at(0).weight.empty());
  const Dataset both = load(halved + "\n" + conversation("", ""));
  EXPECT_EQ(both.records.at(1).at(0).weight, std::vector<float>(6, 1)) << "where one has weights, all have";
  EXPECT_NE(load(halved).fingerprint, load(conversation("", "")).fingerprint);
  EXPECT_THROW(load(conversation("", R"(, "weight": -1)")), Error);
  EXPECT_THROW(
      load(
          R"({"prompt": [{"role": "user", "content": "b"}], "completion": [{"role": "assistant", "content": "c", "weight": 0}]})"),
      Error);
}

TEST(Supervised, LearnsTheLastTurnWhereAnotherMessageFollowsOrTwoTurnsMeet) {
  EXPECT_EQ(
      marked(R"({"messages": [{"role": "assistant", "content": "b"}, {"role": "user", "content": "c"}]})",
             "last"),
      "a[b.]uc.");
  EXPECT_EQ(
      marked(
          R"({"messages": [{"role": "assistant", "content": "b"}, {"role": "assistant", "content": "c"}]})",
          "last"),
      "ab.a[c.]");
}

TEST(Supervised, ReadsShareGptAsTheConversationItIs) {
  EXPECT_EQ(
      marked(R"({"conversations": [{"from": "human", "value": "bc"}, {"from": "gpt", "value": "de"}]})"),
      "ubc.a[de.]");
  EXPECT_EQ(marked(R"({"conversations": [{"role": "user", "content": "bc"}, )"
                   R"({"role": "assistant", "content": "d"}], "system": "x"})"),
            "sx.ubc.a[d.]");
}

TEST(Supervised, LearnsTheCompletionOfTextsAndOfMessages) {
  EXPECT_EQ(marked(R"({"prompt": "ab", "completion": "cd"})"), "ab[cd.]");
  EXPECT_EQ(marked(R"({"prompt": "ab", "completion": "cd"})", "all"), "a{b}[cd.]");
  EXPECT_EQ(marked(R"({"prompt": "ab", "completion": "cd"})", "auto", true, {.append_eos = false}), "ab[cd]");
  EXPECT_EQ(marked(R"({"prompt": "", "completion": "cd"})"), "c[d.]");  // nothing stands before c
  const std::string chat =
      R"({"prompt": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}, {"role": "user", "content": "d"}],
          "completion": [{"role": "assistant", "content": "e"}]})";
  std::string record = chat;
  std::erase(record, '\n');
  EXPECT_EQ(marked(record), "ub.ac.ud.a[e.]");
  EXPECT_EQ(marked(record, "assistant"), "ub.a[c.]ud.a[e.]");
  EXPECT_EQ(marked(record, "last"), "ub.ac.ud.a[e.]");
}

TEST(Supervised, ReadsAlpacaAsTurnsWithATemplate) {
  EXPECT_EQ(marked(R"({"instruction": "b", "input": "", "output": "c"})"), "ub.a[c.]");
  EXPECT_EQ(marked(R"({"instruction": "b", "output": "c", "system": "x", "history": [["d", "e"]]})"),
            "sx.ud.ae.ub.a[c.]");
  EXPECT_EQ(marked(R"({"instruction": "b", "output": "c", "history": [["d", "e"]]})", "assistant"),
            "ud.a[e.]ub.a[c.]");
}

TEST(Supervised, JoinsWhatAlpacasInstructionAndInputSay) {
  const auto asked = [](const std::string& members) {
    const Json record = parse_json("{" + members + R"(, "output": "c"})", "record");
    return std::get<std::vector<Message>>(demonstration_from_json(record, Instructions::as_messages).prompt)
        .back()
        .content;
  };
  EXPECT_EQ(asked(R"("instruction": "b", "input": "d")"), "b\nd");
  EXPECT_EQ(asked(R"("instruction": "", "input": "d")"), "d");
  EXPECT_EQ(asked(R"("instruction": "b", "input": "")"), "b");
}

TEST(Supervised, ReadsAlpacaAsItsTextsWithoutATemplate) {
  Json record = parse_json(R"({"instruction": "Add.", "input": "1, 2", "output": "3"})", "record");
  const Demonstration made = demonstration_from_json(record, Instructions::as_text);
  EXPECT_EQ(
      std::get<std::string>(made.prompt),
      "Below is an instruction that describes a task, paired with an input that provides further context. "
      "Write a response that appropriately completes the request.\n\n### Instruction:\nAdd.\n\n### "
      "Input:\n1, 2\n\n### Response:\n");
  EXPECT_EQ(std::get<std::string>(made.completion), "3");
  record.set("history", Json::array({Json::array({"a", "b"})}));
  EXPECT_EQ(
      error_of([&] { demonstration_from_json(record, Instructions::as_text); }),
      "record:1:1: \"system\" and \"history\" beside an instruction want a tokenizer with a chat template");
}

TEST(Supervised, OpensWithTheRecordsSystemAndTools) {
  const std::string system = R"({"role": "system", "content": "x"}, )",
                    user = R"({"role": "user", "content": "b"})",
                    said = R"({"role": "assistant", "content": "c"})";
  EXPECT_EQ(marked(R"({"system": "x", "prompt": [)" + user + R"(], "completion": [)" + said + "]}"),
            "sx.ub.a[c.]");
  EXPECT_EQ(marked(R"({"system": "x", "messages": [)" + system + user + ", " + said + "]}"), "sx.ub.a[c.]");
  EXPECT_EQ(marked(R"({"prompt": [)" + user + R"(], "completion": [)" + system + user + ", " + said + "]}"),
            "sx.ub.a[c.]");
  EXPECT_EQ(marked(R"({"prompt": null, "completion": null, "text": null, "messages": [)" + user + ", " +
                   said + "]}"),
            "ub.a[c.]");
  EXPECT_EQ(
      error_of([&] { marked(R"({"system": "y", "messages": [)" + system + user + ", " + said + "]}"); }),
      "texts.jsonl:1:12: \"system\" is \"y\", and the messages begin with another: \"x\"");
  for (const char* texts : {R"("prompt": "a", "completion": "b"})", R"("text": "ab"})"}) {
    EXPECT_EQ(
        error_of([&] { marked(R"({"system": "x", )" + std::string(texts)); }),
        "texts.jsonl:1:12: \"system\" beside texts is not read: put it into the text, or give messages");
    EXPECT_EQ(marked(R"({"tools": [1], "system": "a", )" + std::string(texts)),
              marked("{" + std::string(texts)));
  }
}

TEST(Supervised, NamesTheRolesWhereNoneIsTheAssistants) {
  const std::string record =
      R"({"messages": [{"role": "human", "content": "b"}, {"role": "gpt", "content": "c"}, )"
      R"({"role": "human", "content": "d"}]})";
  for (const char* loss_on : {"auto", "last"})
    EXPECT_EQ(error_of([&] { marked(record, loss_on); }),
              "texts.jsonl:1:1: no message of the assistant (its roles are \"human\", \"gpt\")");
  EXPECT_EQ(marked(record, "all"), "h{b.gc.hd.}");
}

TEST(Supervised, LearnsAllOfAText) {
  EXPECT_EQ(marked(R"({"text": "abc"})"), "a[bc.]");
  EXPECT_EQ(marked(R"({"text": "abc"})", "all", false), "a[bc.]");
}

TEST(Supervised, CutsAndCounts) {
  EXPECT_EQ(marked(R"({"prompt": "ab", "completion": "cd"})"
                   "\n"
                   R"({"text": "ab"})",
                   "auto", true, {.max_length = 3}),
            "ab[c]");
  EXPECT_EQ(marked(R"({"prompt": "ab", "completion": "cd"})"
                   "\n"
                   R"({"text": "ab"})",
                   "auto", true, {.max_length = 3, .truncation = "keep_end"}),
            "c[d.]");
  const Dataset data = load(R"({"prompt": "ab", "completion": "cd"})"
                            "\n"
                            R"({"prompt": "abcd", "completion": "e"})"
                            "\n"
                            R"({"text": "abc"})",
                            {"auto", {.max_length = 4}});
  EXPECT_EQ(
      data.counts,
      "2 texts of 8 tokens, 5 of them to learn; the longest text 5 tokens, 2 of plain text, without the "
      "chat template that messages get, 1 texts truncated");
  EXPECT_EQ(data.skipped.total(), 1);
  EXPECT_EQ(data.noted, (std::vector<std::pair<std::string, std::int64_t>>{{"texts truncated", 1}}));
}

TEST(Supervised, IsNamedByWhatALossCanSee) {
  const std::string text = R"({"prompt": "ab", "completion": "cd"})";
  EXPECT_EQ(load(text).fingerprint, load(text + "\n").fingerprint);
  EXPECT_NE(load(text).fingerprint, load(text, {"all", {}}).fingerprint);
  EXPECT_NE(load(text).fingerprint, load(R"({"prompt": "ab", "completion": "ce"})").fingerprint);
}

TEST(Supervised, TwoRecordsHaveOnePromptWhereWhatStandsBeforeTheAnswerIsTheSame) {
  const auto asked = [](const std::string& record, const std::string& loss_on = "auto", bool chat = true) {
    return texts(record, {loss_on, {.max_length = 3, .truncation = "keep_end"}}, chat).texts.at(0).asked;
  };
  const auto talk = [](const std::string& question, const std::string& answer, const std::string& more = "") {
    return R"({"messages": [{"role": "user", "content": ")" + question +
           R"("}, {"role": "assistant", "content": ")" + answer + R"("})" + more + "]}";
  };
  const std::string pair = R"({"prompt": "ab", "completion": "cd"})", text = R"({"text": "abcd"})";
  EXPECT_EQ(asked(pair), asked(R"({"prompt": "ab", "completion": "efg"})"));
  EXPECT_EQ(asked(pair), asked(pair, "all"));
  EXPECT_NE(asked(pair), asked(R"({"prompt": "a", "completion": "bcd"})"));
  EXPECT_EQ(asked(text), asked(text, "all", false));
  EXPECT_NE(asked(text), asked(R"({"text": "abce"})"));

  const std::string more = R"(, {"role": "user", "content": "h"}, {"role": "assistant", "content": "i"})";
  EXPECT_EQ(asked(talk("b", "c")), asked(talk("b", "d", more)));
  EXPECT_EQ(asked(talk("b", "c")), asked(talk("b", "c"), "all"));
  EXPECT_EQ(asked(talk("b", "c")), asked(R"({"instruction": "b", "input": "", "output": "e"})"));
  EXPECT_NE(asked(talk("b", "c")), asked(talk("e", "c")));
  EXPECT_NE(asked(talk("b", "c", more), "last"), asked(talk("b", "d", more), "last"));
  const std::string muted = R"({"messages": [{"role": "user", "content": "b"}, )"
                            R"({"role": "assistant", "content": "c", "weight": 0}, )"
                            R"({"role": "assistant", "content": "d"}]})";
  EXPECT_EQ(asked(talk("b", "c")), asked(muted));
}

TEST(Supervised, WhatIsLeftOutIsCountedAndTheRestIsAsIfItWereAlone) {
  const std::string first = R"({"prompt": "ab", "completion": "cd"})", second = R"({"text": "abc"})";
  SupervisedData data = texts(first + "\n" + second);
  const std::vector<std::size_t> places = {0};
  leave_out(data, places, "held out");
  EXPECT_EQ(data.skipped.text(), "1 skipped: held out (1: texts.jsonl:1:1)");
  const Dataset left = as_dataset(data), alone = load(second);
  EXPECT_EQ(left.fingerprint, alone.fingerprint);
  EXPECT_EQ(left.counts, alone.counts);
  check_trainable(data, {}, "texts.jsonl");
  leave_out(data, places, "held out");
  EXPECT_EQ(error_of([&] { check_trainable(data, {}, "texts.jsonl"); }),
            "texts.jsonl: no text to train on; 2 skipped: held out (2: texts.jsonl:1:1, 2:1)");
}

TEST(Supervised, PlainTextsBesideATemplateAreCountedUnlessTheyWereRendered) {
  const std::string lines =
      std::string(R"({"prompt": "ab", "completion": "cd"})") + "\n" + R"({"text": "abc"})";
  const std::string said = "of plain text, without the chat template that messages get";
  EXPECT_NE(load(lines).counts.find("2 " + said), std::string::npos);
  EXPECT_EQ(load(lines, {}, /*chat=*/false).counts.find(said), std::string::npos);
  EXPECT_EQ(load(lines, {.length = {.specials_in_text = true}}).counts.find(said), std::string::npos);
  EXPECT_EQ(load(R"({"messages": [{"role": "user", "content": "b"}, {"role": "assistant", "content": "c"}]})")
                .counts.find(said),
            std::string::npos);
}

TEST(Judged, AnswersOfWhichNoneIsLeftAreCalledSo) {
  MemoryFs fs;
  fs.put("judged.jsonl", R"({"prompt": "ab", "completion": "cd", "label": true})");
  SupervisedData data = load_judged(fs, "judged.jsonl", SpanBuilder(ending_letters()), {}, OnBad::stop);
  const std::vector<std::size_t> places = {0};
  leave_out(data, places, "prompt is in eval too");
  EXPECT_EQ(error_of([&] { check_trainable(data, {}, "judged.jsonl"); }),
            "judged.jsonl: no answer to train on; 1 skipped: prompt is in eval too (1: judged.jsonl:1:1)");
}

TEST(Judged, OfAConversationItsLastMessageIsTheAnswer) {
  const std::string begin = R"([{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}, )"
                            R"({"role": "user", "content": "c"})",
                    answer = R"({"role": "assistant", "content": "d"})";
  const auto read = [](const std::string& record) {
    MemoryFs fs;
    fs.put("judged.jsonl", record);
    return as_dataset(load_judged(fs, "judged.jsonl", with_template(), {}, OnBad::stop));
  };
  const Dataset apart =
      read(R"({"prompt": )" + begin + R"(], "completion": [)" + answer + R"(], "label": false})");
  for (const char* key : {"messages", "conversations"}) {
    const Dataset whole =
        read("{\"" + std::string(key) + "\": " + begin + ", " + answer + R"(], "label": false})");
    EXPECT_EQ(whole.fingerprint, apart.fingerprint) << key;
    EXPECT_EQ(whole.counts, apart.counts) << key;
  }
  EXPECT_NE(read(R"({"messages": )" + begin + ", " + answer + R"(], "label": true})").fingerprint,
            apart.fingerprint);
}

TEST(Supervised, ReadsWholeFilesOfEachForm) {
  const auto model = testing::shared_data("models/stories260K/hf");
  PREFER_NEEDS(model);
  const SpanBuilder builder(load_tokenizer(model.string()));
  PosixFs fs;
  for (const auto& [file, count] : {std::pair{"llama-factory/alpaca_en_demo.json", 999u},
                                    {"llama-factory/identity.json", 91u},
                                    {"rasbt/instruction-data.json", 1100u}}) {
    const auto path = testing::shared_data(std::string("sft/") + file);
    PREFER_NEEDS(path);
    const Dataset data =
        as_dataset(load_demonstrations(fs, path.string(), builder, {"auto", {.max_length = 0}}, OnBad::stop));
    EXPECT_EQ(data.records.size() + static_cast<std::size_t>(data.skipped.total()), count) << file;
    EXPECT_GT(data.records.size(), count - 5) << file;
  }
}

}  // namespace
}  // namespace prefer
