// Preferences as tokens: truncation and its counts, what is refused, the fingerprint, and a whole real file.
#include "prefer/data/tokenised.hpp"

#include "tests/support/data.hpp"
#include "tests/support/error.hpp"
#include "tests/support/letters.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace prefer {
namespace {

using testing::error_of;
using testing::letters;

const ChatTemplate& turns() {
  static const ChatTemplate made("{% for m in messages %}{{ m.content }}</s>{% endfor %}");
  return made;
}

Preference said(const std::string& prompt, const std::string& chosen, const std::string& rejected) {
  using Messages = std::vector<Message>;
  return {Messages{{"user", prompt, {}}},
          Messages{{"assistant", chosen, {}}},
          Messages{{"assistant", rejected, {}}},
          8,
          3,
          Preference::kNotGiven,
          "p:1:1"};
}

PreferenceData made(const std::vector<Preference>& pairs, const LengthOptions& options) {
  return tokenise(pairs, SpanBuilder(letters(), turns()), options);
}

TEST(TokenisedPairs, HoldPromptAndAnswers) {
  const PreferenceData data = made({said("abc", "de", "f")}, {});
  ASSERT_EQ(data.pairs.size(), 1u);
  EXPECT_EQ(data.pairs[0].chosen, (TokenisedSide{{0, 1, 2, 27}, {3, 4, 27}}));
  EXPECT_EQ(data.pairs[0].rejected, (TokenisedSide{{0, 1, 2, 27}, {5, 27}}));
  EXPECT_EQ(data.counts().with_end, 2);
  EXPECT_EQ(data.counts().truncated, 0);
  EXPECT_EQ(data.counts().longest, 7);
  const std::vector<Sequence> group = as_group(data.pairs[0]);
  ASSERT_EQ(group.size(), 2u);
  EXPECT_EQ(group[0].tokens, (std::vector<std::int32_t>{0, 1, 2, 27, 3, 4, 27}));
  EXPECT_EQ(group[0].scored[0].begin, 4);
  EXPECT_EQ(group[1].scored[0].end, 6);
  EXPECT_EQ(group[1].role, role::kRejected);
  EXPECT_EQ(group[0].grade[0], 8.f);
}

TEST(TokenisedPairs, PlainSidesBesideATemplateAreCounted) {
  const std::vector<Preference> pairs = {said("abc", "de", "f"),
                                         {"ab", "c", "d", 8, 3, Preference::kNotGiven, "p:2:1"}};
  EXPECT_EQ(made(pairs, {}).counts().bare, 2);
  EXPECT_NE(made(pairs, {})
                .counts()
                .text(2, "pairs")
                .find(", 2 sides of plain text, without the chat template that messages get"),
            std::string::npos);
  EXPECT_EQ(made(pairs, {.specials_in_text = true}).counts().bare, 0);
  EXPECT_EQ(tokenise(std::span(pairs).last(1), SpanBuilder(letters()), {}).counts().bare, 0);
}

TEST(TokenisedPairs, AreCutAtTheEndOrTheStart) {
  const PreferenceData start = made({said("abc", "defg", "h")}, {.max_length = 6});
  ASSERT_EQ(start.pairs.size(), 1u);
  EXPECT_EQ(start.pairs[0].chosen, (TokenisedSide{{0, 1, 2, 27}, {3, 4}}));
  EXPECT_EQ(start.counts().truncated, 1);
  EXPECT_EQ(start.counts().end_lost, 1);
  EXPECT_EQ(start.counts().unshared, 0);
  const PreferenceData end = made({said("abc", "defg", "h")}, {.max_length = 6, .truncation = "keep_end"});
  EXPECT_EQ(end.pairs[0].chosen, (TokenisedSide{{27}, {3, 4, 5, 6, 27}}));
  EXPECT_EQ(end.counts().end_lost, 0);
  EXPECT_EQ(end.counts().unshared, 1);
}

TEST(TokenisedPairs, WithNothingToLearnAreLeftOutAndCounted) {
  const PreferenceData data =
      made({said("abcdefgh", "x", "y"), said("a", "bcdx", "bcdy"), said("a", "b", "c")}, {.max_length = 5});
  EXPECT_EQ(data.pairs.size(), 1u);
  EXPECT_EQ(data.skipped.reasons.at("no token of an answer is left after max_length").count, 1);
  EXPECT_EQ(data.skipped.reasons.at("chosen and rejected have the same tokens after max_length").count, 1);
  EXPECT_EQ(data.counts().sides, 2);
}

TEST(TokenisedPairs, ThatAreLeftOutTakeTheirCountsAlong) {
  const LengthOptions eight{.max_length = 8};
  const Preference small = said("a", "b", "c"), cut = said("ab", "cdefgh", "ijklmn");
  const std::vector<std::size_t> first = {0}, second = {1};
  PreferenceData data = made({small, cut}, eight);
  EXPECT_EQ(data.counts().truncated, 2);
  EXPECT_EQ(data.counts().longest, 10);
  PreferenceData lost = data;
  leave_out(data, second, "held out");
  EXPECT_EQ(data.counts().sides, 2);
  EXPECT_EQ(as_dataset(data).counts, as_dataset(made({small}, eight)).counts);
  EXPECT_TRUE(as_dataset(data).noted.empty());
  EXPECT_EQ(error_of([&] { check_trainable(lost, eight, "p"); }), "");
  leave_out(lost, first, "held out");
  EXPECT_EQ(error_of([&] { check_trainable(lost, eight, "p"); }),
            "p: every completion lost its end token to max_length 8, so none would teach to stop; the "
            "longest side has 10 tokens");
}

TEST(TokenisedPairs, ShowTheTemplateTheirTools) {
  const ChatTemplate shown(
      "{% for t in tools %}{{ t.name }}{% endfor %}{% for m in messages %}{{ m.content }}</s>{% endfor %}");
  Preference pair = said("a", "b", "c");
  pair.tools = parse_json(R"([{"name": "xy"}])", "tools");
  const PreferenceData data = tokenise(std::span(&pair, 1), SpanBuilder(letters(), shown), {});
  EXPECT_EQ(data.pairs.at(0).chosen, (TokenisedSide{{23, 24, 0, 27}, {1, 27}}));
}

TEST(TokenisedPairs, ThatTeachNothingAreRefused) {
  const LengthOptions five{.max_length = 5};
  const auto refusal = [&](const std::vector<Preference>& pairs) {
    return error_of([&] { check_trainable(made(pairs, five), five, "p"); });
  };
  EXPECT_EQ(refusal({said("a", "b", "c")}), "");
  EXPECT_EQ(refusal({said("a", "bcdefg", "hijklm")}),
            "p: every completion lost its end token to max_length 5, so none would teach to stop; the "
            "longest side has 9 "
            "tokens");
  EXPECT_EQ(refusal({said("abcdef", "g", "h")}),
            "p: no pair to train on; 1 skipped: no token of an answer is left after max_length (1: p:1:1)");
  const LengthOptions end{.max_length = 3, .truncation = "keep_end"};
  EXPECT_EQ(error_of([&] { check_trainable(made({said("abc", "d", "e")}, end), end, "p"); }),
            "p: every side was truncated to max_length 3; the longest has 6 tokens");
}

TEST(TokenisedPairs, TemplatesErrorsCarryTheRecordsPlace) {
  const SpanBuilder strict(letters(), ChatTemplate("{{ raise_exception('never') }}"));
  const std::vector<Preference> pairs = {said("a", "b", "c")};
  EXPECT_EQ(error_of([&] { tokenise(pairs, strict, {}); }),
            "p:1:1: chat_template:1:19: the template refuses: never");
  EXPECT_EQ(tokenise(pairs, strict, {}, OnBad::skip).skipped.total(), 1);
}

TEST(TokenisedPairs, FingerprintNamesTheContent) {
  const std::vector<Preference> pairs = {said("abc", "de", "f"), said("a", "b", "c")};
  const PreferenceData data = made(pairs, {});
  const std::string name = fingerprint(data.pairs);
  // SHA-256 of the little-endian layout, computed with Python's hashlib.
  EXPECT_EQ(name, "abfeb3fcc43de0a1ec9791daa195f7ea7049fe4aa2d97124d9ad244143161e5a");
  EXPECT_EQ(fingerprint(made(pairs, {}).pairs), name);
  PreferenceData other = data;
  std::swap(other.pairs[0], other.pairs[1]);
  EXPECT_NE(fingerprint(other.pairs), name);
  other = data;
  other.pairs[0].margin = 0;
  EXPECT_NE(fingerprint(other.pairs), name);
  other = data;
  other.pairs[1].chosen.completion.push_back(other.pairs[1].chosen.prompt.back());
  other.pairs[1].chosen.prompt.pop_back();
  EXPECT_NE(fingerprint(other.pairs), name);
}

TEST(TokenisedPairs, PromptsInTwoSetsAreFoundWhateverTruncationLeavesOfThem) {
  const LengthOptions cut{.max_length = 5,
                          .truncation = "keep_end"};  // the answer's length decides what stays
  PreferenceData train = made({said("abc", "de", "f"), said("ab", "c", "d"), said("xyz", "a", "b")}, cut);
  const PreferenceData eval =
      made({said("abc", "g", "hijk"), said("xyz", "aaaa", "b"), said("x", "a", "b")}, cut);
  EXPECT_NE(train.pairs[0].chosen.prompt, eval.pairs[0].chosen.prompt);
  EXPECT_EQ(shared_prompts(train.pairs, eval.pairs), (std::vector<std::size_t>{0, 2}));
  EXPECT_EQ(shared_prompts(eval.pairs, train.pairs), (std::vector<std::size_t>{0, 1}));
  leave_out(train, shared_prompts(train.pairs, eval.pairs), "prompt is in eval too");
  ASSERT_EQ(train.pairs.size(), 1u);
  EXPECT_EQ(train.pairs[0].chosen.completion, (std::vector<std::int32_t>{2, 27}));
  EXPECT_EQ(train.skipped.reasons.at("prompt is in eval too").count, 2);
}

TEST(TokenisedPairs, UltraFeedbackAsPlainTexts) {
  const auto path = testing::shared_data("preference/ultrafeedback/eval_clean.jsonl.gz");
  const auto tokenizer = testing::shared_data("tokenizers/smollm2/tokenizer.json");
  PREFER_NEEDS(path);
  PREFER_NEEDS(tokenizer);
  PosixFs fs;
  const SpanBuilder builder(load_tokenizer(tokenizer.string()));
  const LengthOptions options{.max_length = 512};
  const PreferenceData data = load_preferences(fs, path.string(), builder, options, OnBad::skip);
  EXPECT_EQ(static_cast<std::int64_t>(data.pairs.size()) + data.skipped.total(), 200);
  EXPECT_GT(data.pairs.size(), 150u);
  for (const TokenisedPair& pair : data.pairs) {
    for (const TokenisedSide* side : {&pair.chosen, &pair.rejected}) {
      EXPECT_LE(side->prompt.size() + side->completion.size(), 512u);
      EXPECT_FALSE(side->completion.empty());
    }
    EXPECT_EQ(pair.chosen.prompt, pair.rejected.prompt);
  }
  EXPECT_EQ(error_of([&] { check_trainable(data, options, "u"); }), "");
}

}  // namespace
}  // namespace prefer
