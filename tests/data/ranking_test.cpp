// Rankings: both forms of a record, ranks out of scores, messages, what is left out, and the group of a
// ranking.
#include "prefer/data/ranking.hpp"

#include "support/error.hpp"
#include "support/letters.hpp"
#include "support/memory_fs.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::ending_letters;
using testing::error_of;
using testing::MemoryFs;
using Ranks = std::vector<std::int64_t>;

RankingData load(const std::string& lines, const LengthOptions& options = {}, OnBad on_bad = OnBad::stop,
                 bool chat = false) {
  MemoryFs fs;
  fs.put("r.jsonl", lines);
  const ChatTemplate turns("{% for m in messages %}{{ m.content }}</s>{% endfor %}");
  return load_rankings(fs, "r.jsonl",
                       chat ? SpanBuilder(ending_letters(), turns) : SpanBuilder(ending_letters()), options,
                       on_bad);
}

TEST(Rankings, HaveRanksOrScores) {
  const RankingData data = load(
      R"({"prompt": "ab", "answers": ["c", "d", "e"], "ranks": [2, 1, 3]})"
      "\n"
      R"({"prompt": "ab", "answers": ["c", "d", "e"], "scores": [0.5, 7, -1e3], "category": "x"})"
      "\n"
      R"({"prompt": "ab", "answers": ["c", "d", "e", "f"], "scores": [1, 3, 1, 3]})"
      "\n"
      R"({"prompt": "ab", "answers": ["c", "d", "e"], "ranks": [1.5, 1.5, 9], "metadata": {"subset": "y"}})"
      "\n");
  ASSERT_EQ(data.rankings.size(), 4U);
  EXPECT_EQ(data.rankings[0].ranks, (Ranks{2, 1, 3}));
  EXPECT_EQ(data.rankings[1].ranks, (Ranks{2, 1, 3}));
  EXPECT_EQ(data.rankings[2].ranks, (Ranks{3, 1, 3, 1}));
  EXPECT_EQ(data.rankings[3].ranks, (Ranks{1, 1, 3}));
  EXPECT_EQ(data.rankings[1].subset, "x");
  EXPECT_EQ(data.rankings[3].subset, "y");
  EXPECT_EQ(data.rankings[0].answers[2], (TokenisedSide{{0, 1}, {4, 27}}));
  EXPECT_EQ(data.rankings[0].place, "r.jsonl:1:1");
  EXPECT_EQ(as_dataset(data).counts, "13 answers in 4 rankings, the longest side 4 tokens");
}

TEST(Rankings, BecomeMessagesWhereOneOfThemIs) {
  const RankingData data = load(
      R"({"prompt": [{"role": "user", "content": "a"}], "answers": ["b", [{"role": "assistant", "content": "c"}]], "ranks": [1, 2]})",
      {}, OnBad::stop, true);
  EXPECT_EQ(data.rankings.at(0).answers[0], (TokenisedSide{{0, 27}, {1, 27}}));
  EXPECT_EQ(data.rankings.at(0).answers[1], (TokenisedSide{{0, 27}, {2, 27}}));
}

TEST(Rankings, OpenAsTheirAnswersDoAndWithTheRecordsSystem) {
  const std::string user = R"({"role": "user", "content": "b"})";
  const auto answer = [&](const std::string& opening, const std::string& said) {
    return "[" + opening + R"({"role": "assistant", "content": ")" + said + "\"}]";
  };
  const auto ranking = [&](const std::string& before, const std::string& one, const std::string& other) {
    return "{" + before + R"("answers": [)" + one + ", " + other + R"(], "ranks": [1, 2], "scores": null})";
  };
  const TokenisedSide whole{{0, 27, 1, 27}, {2, 27}};
  const std::string opened = R"({"role": "system", "content": "a"}, )" + user + ", ";
  const auto first = [](const std::string& line) {
    return load(line, {}, OnBad::stop, true).rankings.at(0).answers.at(0);
  };
  EXPECT_EQ(first(ranking(R"("prompt": "b", )", answer(opened, "c"), answer(opened, "d"))), whole);
  EXPECT_EQ(first(ranking(R"("system": "a", "prompt": "b", )", answer("", "c"), answer("", "d"))), whole);
  EXPECT_EQ(error_of([&] { first(ranking(R"("prompt": "b", )", answer(opened, "c"), answer("", "d"))); }),
            "r.jsonl:1:1: answer 1 and answer 2 do not have the same messages before what they answer");
  EXPECT_EQ(
      error_of([&] { first(ranking(R"("prompt": "c", )", answer("", "c"), answer(user + ", ", "d"))); }),
      "r.jsonl:1:1: answer 2 begins with a message of the user that is not the prompt's");
}

TEST(Rankings, AreGroupsOfOnePrompt) {
  const RankingData data = load(
      R"({"prompt": "abcde", "answers": ["f", "g", "h", "i", "j", "k", "l"], "scores": [7, 1, 6, 2, 5, 3, 4]})");
  const std::vector<Sequence> group = as_group(data.rankings.at(0));
  ASSERT_EQ(group.size(), 7U);
  const std::vector<float> ranks = {1, 7, 2, 6, 3, 5, 4};
  for (std::size_t k = 0; k < 7; ++k) {
    EXPECT_EQ(group[k].role, static_cast<std::int64_t>(k));
    EXPECT_EQ(group[k].grade, std::vector<float>{ranks[k]});
    EXPECT_EQ(group[k].scored.at(0).begin, 5);
  }
  EXPECT_EQ(forest_tokens(group, Sharing::on), 5 + 7 * 2);
  EXPECT_EQ(forest_tokens(group, Sharing::off), 7 * 7);
}

TEST(Rankings, WithNothingToLearnAreLeftOutAndCounted) {
  const RankingData data = load(R"({"prompt": "abcde", "answers": ["f", "g"], "ranks": [1, 2]})"
                                "\n"
                                R"({"prompt": "a", "answers": ["bcdef", "bcdeg", "h"], "ranks": [1, 2, 3]})"
                                "\n"
                                R"({"prompt": "a", "answers": ["bcdef", "bcdeg", "h"], "ranks": [1, 1, 3]})"
                                "\n",
                                {.max_length = 5});
  ASSERT_EQ(data.rankings.size(), 1U);
  EXPECT_EQ(data.rankings[0].place, "r.jsonl:3:1");
  EXPECT_EQ(data.skipped.reasons.at("no token of an answer is left after max_length").count, 1);
  EXPECT_EQ(data.skipped.reasons.at("answers ranked apart have the same tokens after max_length").count, 1);
  EXPECT_EQ(data.counts().sides, 3);
  EXPECT_EQ(data.counts().truncated, 2);
}

TEST(Rankings, WithPromptsThatTruncationMakesDifferAreCounted) {
  const RankingData data = load(R"({"prompt": "abc", "answers": ["de", "f", "g"], "ranks": [1, 2, 3]})",
                                {.max_length = 5, .truncation = "keep_end"});
  EXPECT_EQ(data.rankings.at(0).answers[0], (TokenisedSide{{1, 2}, {3, 4, 27}}));
  EXPECT_EQ(data.counts().unshared, 1);
  EXPECT_EQ(
      as_dataset(data).counts,
      "3 answers in 1 rankings, the longest side 6 tokens, 1 sides truncated, 1 rankings with prompts that "
      "differ");
}

TEST(Rankings, ThatAreBadAreSkippedWhereAskedFor) {
  const std::string lines = R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 1]})"
                            "\n"
                            R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 2]})"
                            "\n";
  EXPECT_EQ(error_of([&] { load(lines); }), "r.jsonl:1:1: all answers are tied, so nothing is ranked");
  const RankingData data = load(lines, {}, OnBad::skip);
  EXPECT_EQ(data.rankings.size(), 1U);
  EXPECT_EQ(data.skipped.text(), "1 skipped: all answers are tied, so nothing is ranked (1: r.jsonl:1:1)");
}

TEST(Rankings, OfAPromptThatOthersHaveAreFoundAndLeftOut) {
  RankingData train = load(R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 2]})"
                           "\n"
                           R"({"prompt": "d", "answers": ["b", "c"], "ranks": [1, 2]})"
                           "\n");
  const RankingData eval = load(R"({"prompt": "d", "answers": ["e", "f", "g"], "ranks": [3, 1, 2]})");
  const auto shared = shared_prompts(train.rankings, eval.rankings);
  EXPECT_EQ(shared, std::vector<std::size_t>{1});
  EXPECT_EQ(train.counts().sides, 4);
  leave_out(train, shared, "prompt is in eval too");
  EXPECT_EQ(train.rankings.size(), 1U);
  EXPECT_EQ(train.counts().sides, 2);
  EXPECT_EQ(train.skipped.total(), 1);
}

TEST(Rankings, AreKnownByTheirTokensAndRanks) {
  const auto hash = [](const std::string& line) { return as_dataset(load(line)).fingerprint; };
  const std::string one = R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 2]})";
  EXPECT_EQ(hash(one), hash(R"({"prompt": "a", "answers": ["b", "c"], "scores": [5, 4]})"));
  EXPECT_NE(hash(one), hash(R"({"prompt": "a", "answers": ["b", "c"], "ranks": [2, 1]})"));
  EXPECT_NE(hash(one), hash(R"({"prompt": "a", "answers": ["b", "d"], "ranks": [1, 2]})"));
}

}  // namespace
}  // namespace prefer
