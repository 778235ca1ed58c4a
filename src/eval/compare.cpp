// Rewards, KL and perplexity of answers before and after, with intervals over prompts.
#include "prefer/eval/compare.hpp"

#include "prefer/core/error.hpp"
#include "prefer/objectives/score.hpp"

#include <numeric>

namespace prefer {
namespace {

double sum(const std::vector<float>& values) { return std::accumulate(values.begin(), values.end(), 0.0); }

/// The mean over each prompt's answers of what `measure` says of one.
template <class Measure>
std::vector<double> by_prompt(std::span<const Answers> answers, Measure measure) {
  std::vector<double> means;
  for (const Answers& group : answers) {
    double total = 0;
    for (const Answer& answer : group) total += measure(answer);
    means.push_back(total / static_cast<double>(group.size()));
  }
  return means;
}

double tokens(const Answer& answer) {
  return static_cast<double>(std::max<std::size_t>(1, answer.tokens.size()));
}

/// log pi under `model` of each answer's tokens, in the order of prompts and answers.
std::vector<std::vector<float>> score_answers(const Transformer& model, std::span<const Answers> answers) {
  std::vector<Sequence> sequences;
  for (const Answers& group : answers) {
    for (const Answer& answer : group) sequences.push_back(answer_after(answer.prompt, answer.tokens));
  }
  return score_sequences(model, sequences, 4096, model.device());
}

/// A cell of a table has no use for the white space that an answer begins or ends with.
std::string trimmed(const std::string& text) {
  const std::size_t begin = text.find_first_not_of(" \n\t");
  return begin == std::string::npos ? "" : text.substr(begin, text.find_last_not_of(" \n\t") - begin + 1);
}

}  // namespace

std::vector<double> reference_nll(const Transformer& model, std::span<const Answers> answers) {
  const auto scores = score_answers(model, answers);
  std::size_t i = 0;
  return by_prompt(answers, [&](const Answer& answer) { return -sum(scores[i++]) / tokens(answer); });
}

Comparison compare_answers(const Transformer& reference, std::span<const Answers> before,
                           std::span<const Answers> after, uint64_t seed) {
  if (before.size() != after.size() || before.empty()) {
    fail("a comparison wants answers to the same prompts, not ", before.size(), " and ", after.size());
  }
  const auto reward = [](const Answer& answer) { return answer.reward; };
  const auto scores = score_answers(reference, after);
  Comparison c;
  c.reward_before = bootstrap_mean(by_prompt(before, reward), seed);
  c.reward_after = bootstrap_mean(by_prompt(after, reward), seed);
  std::size_t i = 0;
  c.kl = bootstrap_mean(by_prompt(after, [&](const Answer& a) { return sum(a.logprobs) - sum(scores[i++]); }),
                        seed);
  c.perplexity_before = bootstrap_mean(reference_nll(reference, before), seed).exp();
  i = 0;
  c.perplexity_after =
      bootstrap_mean(by_prompt(after, [&](const Answer& a) { return -sum(scores[i++]) / tokens(a); }), seed)
          .exp();
  return c;
}

std::vector<Figure> Comparison::figures(const std::string& note) const {
  return {{"mean reward", reward_before, reward_after, note},
          {"KL from the model before, nats an answer", {}, kl, "log-ratio of its own answers"},
          {"perplexity under the model before", perplexity_before, perplexity_after,
           "of the same answers, a token"}};
}

std::vector<SideBySide> side_by_side(std::span<const std::string> prompts, std::span<const Answers> before,
                                     std::span<const Answers> after, std::size_t count) {
  std::vector<SideBySide> samples;
  for (std::size_t i = 0; i < std::min(count, prompts.size()); ++i) {
    const Answer& was = before[i].front();
    const Answer& is = after[i].front();
    samples.push_back({prompts[i], trimmed(was.text), trimmed(is.text), was.reward, is.reward});
  }
  return samples;
}

}  // namespace prefer
