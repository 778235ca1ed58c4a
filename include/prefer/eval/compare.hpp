// What training did to a model, measured on the answers it gives before and after.
#pragma once

#include "prefer/eval/report.hpp"
#include "prefer/rollout/answers.hpp"

#include <span>
#include <string>
#include <vector>

namespace prefer {

/// Mean reward, KL from a reference, and perplexity under it, of the answers to the same prompts before and
/// after.
struct Comparison {
  Interval reward_before, reward_after;
  /// Nats an answer: the mean over the model's own answers of log pi(y|x) - log pi_ref(y|x) (k1, Schulman
  /// 2020). Of the model before it is not estimated: where that is the reference, it is 0.
  Interval kl;
  /// exp of the mean negative log-prob a token under the reference: how usual it finds the answers.
  Interval perplexity_before, perplexity_after;

  std::vector<Figure> figures(const std::string& note) const;
};

/// `before` sampled from a model before training, `after` from the one that was trained, to the same prompts;
/// often the model before is the reference. Intervals are over prompts: a prompt's answers are averaged
/// first. Perplexities average log-probs over tokens, then prompts.
Comparison compare_answers(const Transformer& reference, std::span<const Answers> before,
                           std::span<const Answers> after, uint64_t seed);

/// The mean over each prompt's answers of their negative log-prob a token under `model`. [prompts]
std::vector<double> reference_nll(const Transformer& model, std::span<const Answers> answers);

/// The first answer to each of the first `count` prompts, side by side.
std::vector<SideBySide> side_by_side(std::span<const std::string> prompts, std::span<const Answers> before,
                                     std::span<const Answers> after, std::size_t count);

}  // namespace prefer
