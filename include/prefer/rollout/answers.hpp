// Answers sampled from a model, scored by a reward, and ranked into pairs.
#pragma once

#include "prefer/core/json.hpp"
#include "prefer/model/generate.hpp"
#include "prefer/text/spans.hpp"

#include <functional>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// What an answer is worth; larger is better.
using Reward = std::function<double(const std::string& prompt, const std::string& answer)>;

/// One sampled answer. `prompt` and `tokens` are what the model saw and said.
struct Answer {
  std::vector<int32_t> prompt;
  std::vector<int32_t> tokens;
  std::vector<float> logprobs;  ///< of each token, under the model that said it
  std::string text;
  double reward = 0;
};

/// The answers to one prompt.
using Answers = std::vector<Answer>;

/// `options.samples` continuations of each text, scored. `done` is called after each with how many there are.
std::vector<Answers> sample_answers(const Transformer& model, const SpanBuilder& spans,
                                    std::span<const std::string> prompts, const GenerateOptions& options,
                                    const Reward& reward, const std::function<void(int64_t done)>& done = {});

/// Preference records {prompt, chosen, rejected, score_chosen, score_rejected}: of each prompt's answers the
/// best against the worst, the second best against the second worst, and so on, up to `pairs` a prompt, where
/// the rewards differ by `least_gap` or more.
std::vector<Json> rank_into_pairs(std::span<const std::string> prompts, std::span<const Answers> answers,
                                  int64_t pairs, double least_gap);

}  // namespace prefer
