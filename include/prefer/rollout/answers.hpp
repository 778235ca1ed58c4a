// Answers sampled from a model, scored by a reward, and ranked into pairs.
#pragma once

#include "prefer/core/json.hpp"
#include "prefer/data/questions.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/model/generate.hpp"

#include <functional>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// One sampled answer. `prompt` and `tokens` are what the model saw and said, `asked` and `text` what a
/// person reads.
struct Answer {
  std::vector<int32_t> prompt = {};
  std::vector<int32_t> tokens = {};
  /// Of each token, under the model that said it (GenerateOptions::tempered).
  std::vector<float> logprobs = {};
  std::string asked = {};
  std::string text = {};
  bool ended = false;  ///< by a stop token
  double reward = 0;
  std::vector<float> entropies = {};  ///< as logprobs; empty unless GenerateOptions::entropies
  std::vector<int32_t> tail = {};     ///< of its question, as are these:
  std::shared_ptr<const Json> others = kNothingElse;
};

/// The answers to one prompt.
using Answers = std::vector<Answer>;

/// Questions as the model reads them.
std::vector<Prompt> as_prompts(std::span<const Question> questions);

/// What an answer is worth; larger is better. Called by one thread of each rank, with its own answers, in
/// their order. What it throws ends the run with that message.
using Reward = std::function<double(const std::string& prompt, const std::string& answer)>;

/// What many answers are worth, one number each: for rewards that are models, which see batches and tokens,
/// or that look at what a prompt's record holds besides. Called as a Reward is, once for all answers of a
/// batch that were drawn together; any count but theirs, and a number that is not finite, ends the run.
using Scorer = std::function<std::vector<double>(std::span<const Answer>)>;

/// What a reward model reads of an answer: prompt, answer, and where that ended with the template's end token
/// what the template writes behind it, as the texts that it was trained on have it.
std::vector<int32_t> as_judged(const Answer& answer);

/// A reward applied to answer after answer.
Scorer each(Reward reward);

/// `options.n` continuations of each question, drawn by its record and scored together. `done` is
/// called after each with how many there are. Throws Error where the scorer gives another count, or a number
/// that is not finite.
std::vector<Answers> sample_answers(const Transformer& model, std::shared_ptr<const Tokenizer> tokenizer,
                                    std::span<const Question> questions, const GenerateOptions& options,
                                    const Scorer& score, const std::function<void(int64_t done)>& done = {});

/// The same, the questions dealt to the ranks by their tokens: every rank gets all answers. `progress` is
/// told how many of how many there are, as this rank's share goes. Collective.
std::vector<Answers> sample_answers(const Transformer& model, std::shared_ptr<const Tokenizer> tokenizer,
                                    std::span<const Question> questions, const GenerateOptions& options,
                                    const Scorer& score, Team& team,
                                    const std::function<void(int64_t done, int64_t all)>& progress = {});

/// Which questions this rank answers.
std::vector<int64_t> dealt(std::span<const Question> questions, const Team& team);

/// Preference records {prompt, chosen, rejected, score_chosen, score_rejected}: of each prompt's answers the
/// best against the worst, the second best against the second worst, and so on, up to `pairs` a prompt, where
/// the rewards differ, by `least_gap` or more, and neither text is blank. For plain prompts: of a
/// conversation an answer knows the last message alone.
std::vector<Json> rank_into_pairs(std::span<const Answers> answers, int64_t pairs, double least_gap);

}  // namespace prefer
