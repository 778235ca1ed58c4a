// Held-out prompts in a run that answers them itself: measured now and then for the curves, and for the
// report.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/losses/loss.hpp"
#include "prefer/rollout/answers.hpp"

#include <memory>
#include <vector>

namespace prefer {

class HeldOutQuestions {
 public:
  /// Answers are drawn as `options` says, at a site of their own. What the policy answers is compared with
  /// what it answered before training; policy and team must outlive the value. Ranks share the work.
  HeldOutQuestions(std::vector<Question> questions, const Transformer& policy,
                   std::shared_ptr<const Transformer> reference, std::shared_ptr<const Tokenizer> tokenizer,
                   Scorer score, const GenerateOptions& options, Team& team);

  /// Answers as `model` does: the policy before training, where that is not the reference. Collective.
  void before(const Transformer& model);
  /// Answers each (options.n of them): eval_objective/scores, their mean score; eval_kl, nats an answer
  /// (answer_kl); and eval_nll, the negative log-prob a token of the answers under the reference. The same on
  /// every rank. Collective.
  Metrics measure();
  /// Answers what `figures` and `samples` want and was not answered yet, before training as the reference
  /// does. Collective; afterwards one rank may call them alone.
  void complete();
  /// Mean score, KL and perplexity with bootstrap intervals over prompts, before training and at the last
  /// measure.
  std::vector<Figure> figures(uint64_t seed);
  /// Answers to the first prompts, before training and after.
  std::vector<SideBySide> samples(std::size_t count);

 private:
  std::vector<Answers> sample(const Transformer& model, const char* whose) const;
  std::vector<double> kl_of(const Transformer& model) const;
  std::vector<double> nll() const;

  std::vector<Question> questions_;
  const Transformer& policy_;
  std::shared_ptr<const Transformer> reference_;
  std::shared_ptr<const Tokenizer> tokenizer_;
  Scorer score_;
  GenerateOptions options_;
  Team& team_;
  std::vector<Answers> before_, after_;
  std::vector<double> kl_before_, kl_;
};

}  // namespace prefer
