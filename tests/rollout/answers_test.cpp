// What rewards are told of an answer: the text as a reward model was trained on it, and its prompt's record.
#include "prefer/core/error.hpp"
#include "prefer/rollout/rollouts.hpp"
#include "prefer/text/spans.hpp"
#include "support/tiny_run.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {
namespace {

/// Turns end with the end token and a space.
SpanBuilder chats(const TinyRun& run) {
  return {load_tokenizer(run.model),
          ChatTemplate("{% for m in messages %}{{ m.role[0] }}{{ m.content }}<e> {% endfor %}"
                       "{% if add_generation_prompt %}a{% endif %}")};
}

std::vector<Question> questions(const TinyRun& run, const SpanBuilder& spans, const std::string& line) {
  PosixFs fs;
  const std::string path = run.dir / "questions.jsonl";
  write_file_atomically(fs, path, line + "\n");
  Skipped none;
  return load_questions(fs, path, spans, {}, none);
}

TEST(Answer, OfAChatIsJudgedAsTheTemplateWritesIt) {
  const TinyRun run;
  const SpanBuilder spans = chats(run);
  const Question question =
      questions(run, spans, R"({"messages": [{"role": "user", "content": "do a"}]})").front();
  const std::vector<Message> asked = {{"user", "do a"}}, said = {{"assistant", "good"}};
  const TokenisedCompletion made = spans.answer(asked, said);
  ASSERT_EQ(made.end, made.completion.size() - 1);
  std::vector<int32_t> whole = made.prompt;
  whole.insert(whole.end(), made.completion.begin(), made.completion.end());

  Answer answer{.prompt = question.tokens, .tail = question.tail};
  answer.tokens.assign(made.completion.begin(), made.completion.end() - 1);
  answer.ended = true;
  EXPECT_EQ(as_judged(answer), whole);
  whole.pop_back();
  answer.tokens.back() = 5;
  whole.back() = 5;
  EXPECT_EQ(as_judged(answer), whole) << "ended by another token, behind which the template writes nothing";
  answer.ended = false;
  EXPECT_EQ(as_judged(answer), whole) << "cut off, the template has written nothing";
}

TEST(Answer, OfAPlainPromptHasNothingBehindIt) {
  const TinyRun run;
  const Question plain = questions(run, chats(run), R"({"prompt": "do a"})").front();
  EXPECT_TRUE(plain.tail.empty());
  EXPECT_EQ(dump(*plain.others), "{}");
}

TEST(Pairs, AreTheBestAgainstTheWorstThatAReaderTakes) {
  const auto answer = [](const std::string& text, double reward) {
    return Answer{.asked = "Q", .text = text, .reward = reward};
  };
  const std::vector<Answers> answers = {{answer("b", 0.5), answer("\n", -2), answer("a", 1), answer("c", 0)},
                                        {answer("same", 1), answer("same", 0)},
                                        {answer("x", 1), answer("y", 1)}};
  const std::vector<Json> pairs = rank_into_pairs(answers, 3, 0);
  ASSERT_EQ(pairs.size(), 1u);  // "a" against blank, "same" against itself and level rewards are none
  EXPECT_EQ(dump(pairs[0]),
            R"({"prompt":"Q","chosen":"b","rejected":"c","score_chosen":0.5,"score_rejected":0.0})");
  EXPECT_TRUE(rank_into_pairs(answers, 3, 0.6).empty());
}

TEST(Scorer, SeesWhatThePromptsRecordHoldsBesides) {
  const TinyRun run;
  const SpanBuilder spans = chats(run);
  const auto asked = questions(run, spans, R"({"prompt": "do a", "answer": 42, "chosen": "b"})");
  EXPECT_EQ(dump(*asked.front().others), R"({"answer":42})");
  const Scorer reads = [](std::span<const Answer> answers) {
    std::vector<double> rewards;
    for (const Answer& answer : answers) rewards.push_back(answer.others->at("answer").as_number());
    return rewards;
  };
  const auto said = sample_answers(*tiny_model(at::kFloat), spans.shared_tokenizer(), asked,
                                   {.max_new_tokens = 3, .n = 2}, reads);
  EXPECT_EQ(said.front().at(1).reward, 42);
  const auto other = questions(run, spans, R"({"prompt": "do a", "answer": 43})");
  EXPECT_NE(fingerprint(asked), fingerprint(other));
}

TEST(RolloutConfig, RefusesAControllerThatCannotSteer) {
  RolloutConfig config;
  config.kl_target = 6;
  config.kl_horizon = 200;
  EXPECT_THROW(config.check(1000), Error) << "0.2 * 1000 answers / 200 takes the coefficient to 0";
  EXPECT_NO_THROW(config.check(999));
  config.kl_coef = 0;
  EXPECT_THROW(config.check(999), Error);
}

TEST(RolloutConfig, CreditsClippedScoresLessThePenalty) {
  RolloutConfig config;
  EXPECT_EQ(config.credited(7, false), 7);
  config.score_clip = 5;
  config.missing_eos_penalty = 2;
  EXPECT_EQ(config.credited(7, true), 5);
  EXPECT_EQ(config.credited(-7, false), -7);
}

TEST(RolloutConfig, CreditsAnswersWithoutAnEndWithTheScoreForThem) {
  RolloutConfig config;
  config.missing_eos_score = -1;
  for (const double score : {-7.0, 0.0, 7.0}) {
    EXPECT_EQ(config.credited(score, false), -1);
    EXPECT_EQ(config.credited(score, true), score);
  }
  config.score_clip = 0.5;
  EXPECT_EQ(config.credited(7, false), -1);
  EXPECT_EQ(config.credited(7, true), 0.5);
  EXPECT_NO_THROW(config.check(1));
  config.missing_eos_penalty = 1;
  EXPECT_THROW(config.check(1), Error) << "two rules";
}

}  // namespace
}  // namespace prefer::testing
