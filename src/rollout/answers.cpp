// Samples, decodes and scores answers; ranks them into pairs.
#include "prefer/rollout/answers.hpp"

#include "prefer/core/error.hpp"
#include "prefer/text/json.hpp"
#include "src/data/words.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {
namespace {

/// Answers end to end, as they go from rank to rank: each fills in its own, and the sum over the ranks, whose
/// other numbers are zeros, is all of them.
struct Packed {
  std::vector<int64_t> begin = {0};  // [S + 1]
  Tensor tokens;                     // [M] int64
  Tensor logprobs, entropies;        // [M] float
  Tensor reward, ended;              // [S] double

  explicit Packed(const Tensor& lengths) {
    const auto* length = lengths.const_data_ptr<int64_t>();
    for (int64_t i = 0; i < lengths.size(0); ++i) begin.push_back(begin.back() + length[i]);
    tokens = at::zeros({begin.back()}, at::kLong);
    logprobs = at::zeros({begin.back()}, at::kFloat);
    entropies = at::zeros_like(logprobs);
    reward = at::zeros({lengths.size(0)}, at::kDouble);
    ended = at::zeros({lengths.size(0)}, at::kDouble);
  }
  void set(std::size_t i, const Answer& answer) {
    std::ranges::copy(answer.tokens, tokens.mutable_data_ptr<int64_t>() + begin[i]);
    std::ranges::copy(answer.logprobs, logprobs.mutable_data_ptr<float>() + begin[i]);
    std::ranges::copy(answer.entropies, entropies.mutable_data_ptr<float>() + begin[i]);
    reward.mutable_data_ptr<double>()[i] = answer.reward;
    ended.mutable_data_ptr<double>()[i] = answer.ended;
  }
  void reduce(Team& team) {
    std::vector<Tensor> all = {tokens, logprobs, entropies, reward, ended};
    team.reduce(all);
  }
  Answer get(std::size_t i, const Question& question, const std::shared_ptr<const Tokenizer>& tokenizer,
             bool with_entropies) const {
    const auto* id = tokens.const_data_ptr<int64_t>();
    const auto* logp = logprobs.const_data_ptr<float>();
    const auto* entropy = entropies.const_data_ptr<float>();
    Answer answer{.prompt = question.tokens,
                  .tokens = {id + begin[i], id + begin[i + 1]},
                  .logprobs = {logp + begin[i], logp + begin[i + 1]},
                  .asked = question.text,
                  .text = {},
                  .ended = ended.const_data_ptr<double>()[i] != 0,
                  .reward = reward.const_data_ptr<double>()[i],
                  .entropies = {},
                  .tail = question.tail,
                  .others = question.others};
    answer.text = decode_after(tokenizer, answer.prompt, answer.tokens);
    if (with_entropies) answer.entropies = {entropy + begin[i], entropy + begin[i + 1]};
    return answer;
  }
};

}  // namespace

std::vector<Prompt> as_prompts(std::span<const Question> questions) {
  std::vector<Prompt> prompts;
  for (const Question& question : questions) prompts.push_back({question.tokens, question.record});
  return prompts;
}

std::vector<int32_t> as_judged(const Answer& answer) {
  std::vector<int32_t> text = answer.prompt;
  text.insert(text.end(), answer.tokens.begin(), answer.tokens.end());
  if (answer.ended && !answer.tail.empty() && text.back() == answer.tail.front())
    text.insert(text.end(), answer.tail.begin() + 1, answer.tail.end());
  return text;
}

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
  int64_t count = 0;
  auto said = generate(model, as_prompts(questions), options, [&](size_t, size_t, const Completion&) {
    if (done) done(++count);
  });
  std::vector<Answer> all;
  for (std::size_t i = 0; i < questions.size(); ++i) {
    for (Completion& completion : said[i]) {
      std::string text = decode_after(tokenizer, questions[i].tokens, completion.tokens);
      all.push_back({questions[i].tokens, std::move(completion.tokens), std::move(completion.logprobs),
                     questions[i].text, std::move(text), completion.ended, 0, std::move(completion.entropies),
                     questions[i].tail, questions[i].others});
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
    answers[i / static_cast<std::size_t>(options.n)].push_back(std::move(all[i]));
  }
  return answers;
}

std::vector<int64_t> dealt(std::span<const Question> questions, const Team& team) {
  std::vector<int64_t> sizes;
  for (const Question& question : questions) sizes.push_back(static_cast<int64_t>(question.tokens.size()));
  return team.mine(sizes);
}

std::vector<Answers> sample_answers(const Transformer& model, std::shared_ptr<const Tokenizer> tokenizer,
                                    std::span<const Question> questions, const GenerateOptions& options,
                                    const Scorer& score, Team& team,
                                    const std::function<void(int64_t done, int64_t all)>& progress) {
  const auto samples = static_cast<std::size_t>(options.n);
  const std::vector<int64_t> mine = dealt(questions, team);
  std::vector<Question> asked;
  for (const int64_t i : mine) asked.push_back(questions[static_cast<std::size_t>(i)]);
  const int64_t all = static_cast<int64_t>(questions.size()) * options.n,
                share = static_cast<int64_t>(asked.size()) * options.n;
  std::vector<Answers> said;
  if (!asked.empty()) {
    said = sample_answers(model, tokenizer, asked, options, score, [&](int64_t done) {
      if (progress) progress(all * done / share, all);
    });
  }
  if (team.size() == 1) return said;

  team.barrier();  // others may have longer to sample, and score, than a sum waits
  std::vector<Tensor> lengths = {at::zeros({all}, at::kLong)};
  const auto place = [&](std::size_t i, std::size_t s) {
    return static_cast<std::size_t>(mine[i]) * samples + s;
  };
  for (std::size_t i = 0; i < said.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s)
      lengths[0].mutable_data_ptr<int64_t>()[place(i, s)] = static_cast<int64_t>(said[i][s].tokens.size());
  team.reduce(lengths);
  Packed packed(lengths[0]);
  for (std::size_t i = 0; i < said.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s) packed.set(place(i, s), said[i][s]);
  packed.reduce(team);
  std::vector<Answers> result(questions.size());
  for (std::size_t i = 0; i < questions.size(); ++i)
    for (std::size_t s = 0; s < samples; ++s)
      result[i].push_back(packed.get(i * samples + s, questions[i], tokenizer, options.entropies));
  return result;
}

std::vector<Json> rank_into_pairs(std::span<const Answers> answers, int64_t pairs, double least_gap) {
  std::vector<Json> records;
  for (Answers ranked : answers) {
    std::ranges::stable_sort(ranked, std::ranges::greater(), &Answer::reward);
    const auto most = std::min<std::size_t>(static_cast<std::size_t>(pairs), ranked.size() / 2);
    for (std::size_t k = 0; k < most; ++k) {
      const Answer& best = ranked[k];
      const Answer& worst = ranked[ranked.size() - 1 - k];
      // What no reader of pairs would take, or rewards that rank nothing.
      const bool ranked_apart = best.reward > worst.reward && best.reward - worst.reward >= least_gap;
      if (!ranked_apart || blank(best.text) || blank(worst.text) || best.text == worst.text) continue;
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
