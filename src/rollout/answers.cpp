// Samples, decodes and scores answers; ranks them into pairs.
#include "prefer/rollout/answers.hpp"

#include "prefer/core/error.hpp"
#include "prefer/text/json.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {

Scorer each(Reward reward) {
  return [reward = std::move(reward)](std::span<const Answer> answers) {
    std::vector<double> scores;
    for (const Answer& answer : answers) scores.push_back(reward(answer.asked, answer.text));
    return scores;
  };
}

std::vector<Answers> sample_answers(const Transformer& model, std::shared_ptr<const Tokenizer> tokenizer,
                                    std::span<const Question> questions, const GenerateOptions& options,
                                    const Scorer& score, const std::function<void(int64_t done)>& done) {
  std::vector<Prompt> asked;
  for (const Question& question : questions) asked.push_back({question.tokens, question.record});
  int64_t count = 0;
  auto said = generate(model, asked, options, [&](size_t, size_t, const Completion&) {
    if (done) done(++count);
  });
  std::vector<Answer> all;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    for (Completion& completion : said[i]) {
      std::string text = decode_after(tokenizer, questions[i].tokens, completion.tokens);
      all.push_back({questions[i].tokens, std::move(completion.tokens), std::move(completion.logprobs),
                     questions[i].text, std::move(text), completion.ended});
    }
  }
  const std::vector<double> scores = score(all);
  if (scores.size() != all.size())
    fail("a reward wants a number for each of ", all.size(), " answers, and gave ", scores.size());
  std::vector<Answers> answers(questions.size());
  for (std::size_t i = 0; i < all.size(); ++i) {
    if (!std::isfinite(scores[i]))
      fail("the reward of an answer to \"", all[i].asked, "\" is ", scores[i], ", and must be finite");
    all[i].reward = scores[i];
    answers[i / static_cast<std::size_t>(options.samples)].push_back(std::move(all[i]));
  }
  return answers;
}

std::vector<Json> rank_into_pairs(std::span<const Answers> answers, int64_t pairs, double least_gap) {
  std::vector<Json> records;
  for (Answers ranked : answers) {
    std::ranges::stable_sort(ranked, std::ranges::greater(), &Answer::reward);
    const auto most = std::min<std::size_t>(static_cast<std::size_t>(pairs), ranked.size() / 2);
    for (std::size_t k = 0; k < most; ++k) {
      const Answer& best = ranked[k];
      const Answer& worst = ranked[ranked.size() - 1 - k];
      if (best.reward - worst.reward < least_gap || best.text.empty() || worst.text.empty()) continue;
      records.push_back(Json::object({{"prompt", best.asked},
                                      {"chosen", best.text},
                                      {"rejected", worst.text},
                                      {"score_chosen", best.reward},
                                      {"score_rejected", worst.reward}}));
    }
  }
  return records;
}

}  // namespace prefer
