// Samples, decodes and scores answers; ranks them into pairs.
#include "prefer/rollout/answers.hpp"

#include "prefer/text/json.hpp"

#include <algorithm>

namespace prefer {

std::vector<Answers> sample_answers(const Transformer& model, const SpanBuilder& spans,
                                    std::span<const std::string> prompts, const GenerateOptions& options,
                                    const Reward& reward, const std::function<void(int64_t done)>& done) {
  std::vector<Prompt> asked;
  for (std::size_t i = 0; i < prompts.size(); ++i) asked.push_back({spans.text(prompts[i]).ids, i});
  int64_t count = 0;
  const auto said = generate(model, asked, options, [&](size_t, size_t, const Completion&) {
    if (done) done(++count);
  });
  std::vector<Answers> answers(prompts.size());
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    for (const Completion& completion : said[i]) {
      const std::string text = decode_after(spans.shared_tokenizer(), asked[i].tokens, completion.tokens);
      answers[i].push_back(
          {asked[i].tokens, completion.tokens, completion.logprobs, text, reward(prompts[i], text)});
    }
  }
  return answers;
}

std::vector<Json> rank_into_pairs(std::span<const std::string> prompts, std::span<const Answers> answers,
                                  int64_t pairs, double least_gap) {
  std::vector<Json> records;
  for (std::size_t i = 0; i < prompts.size(); ++i) {
    Answers ranked = answers[i];
    std::ranges::stable_sort(ranked, std::ranges::greater(), &Answer::reward);
    const auto most = std::min<std::size_t>(static_cast<std::size_t>(pairs), ranked.size() / 2);
    for (std::size_t k = 0; k < most; ++k) {
      const Answer& best = ranked[k];
      const Answer& worst = ranked[ranked.size() - 1 - k];
      if (best.reward - worst.reward < least_gap || best.text.empty() || worst.text.empty()) continue;
      records.push_back(Json::object({{"prompt", prompts[i]},
                                      {"chosen", best.text},
                                      {"rejected", worst.text},
                                      {"score_chosen", best.reward},
                                      {"score_rejected", worst.reward}}));
    }
  }
  return records;
}

}  // namespace prefer
