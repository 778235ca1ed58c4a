// Samples answers, scores them, and says how far they are from the reference.
#include "prefer/trainers/held_out_questions.hpp"

#include "prefer/eval/compare.hpp"
#include "prefer/objectives/score.hpp"
#include "prefer/rollout/answer_kl.hpp"
#include "prefer/trainers/progress.hpp"

namespace prefer {
namespace {

constexpr const char* kStart = "held-out answers of the model before training";

}  // namespace

HeldOutQuestions::HeldOutQuestions(std::vector<Question> questions, const Transformer& policy,
                                   std::shared_ptr<const Transformer> reference,
                                   std::shared_ptr<const Tokenizer> tokenizer, Scorer score,
                                   const GenerateOptions& options, Team& team)
    : questions_(std::move(questions)),
      policy_(policy),
      reference_(std::move(reference)),
      tokenizer_(std::move(tokenizer)),
      score_(std::move(score)),
      options_(options),
      team_(team) {
  options_.site = random_site::kHeldOut;
}

std::vector<Answers> HeldOutQuestions::sample(const Transformer& model, const char* whose) const {
  ProgressLine progress(whose, static_cast<int64_t>(questions_.size()) * options_.n, team_);
  return sample_answers(model, tokenizer_, questions_, options_, score_, team_,
                        [&](int64_t done, int64_t) { progress(done); });
}

std::vector<double> HeldOutQuestions::kl_of(const Transformer& model) const {
  return answer_kl(model, *reference_, as_prompts(questions_), options_.max_new_tokens, options_.seed, team_);
}

void HeldOutQuestions::before(const Transformer& model) {
  const c10::NoGradGuard frozen;
  before_ = sample(model, kStart);
  kl_before_ = kl_of(model);
}

void HeldOutQuestions::complete() {
  const c10::NoGradGuard frozen;
  if (before_.empty()) before_ = sample(*reference_, kStart);
  if (after_.empty()) measure();
}

/// Of the answers to each question; each rank asks the reference about those that it sampled.
std::vector<double> HeldOutQuestions::nll() const {
  const std::vector<int64_t> mine = dealt(questions_, team_);
  std::vector<Answers> said;
  for (const int64_t i : mine) said.push_back(after_[static_cast<std::size_t>(i)]);
  const std::vector<double> of_mine = said.empty() ? std::vector<double>() : reference_nll(*reference_, said);
  return team_.gather(mine, of_mine, static_cast<int64_t>(questions_.size()));
}

Metrics HeldOutQuestions::measure() {
  const c10::NoGradGuard frozen;
  after_ = sample(policy_, "held-out answers");
  std::vector<double> scores;
  for (const Answers& answers : after_) {
    double sum = 0;
    for (const Answer& answer : answers) sum += answer.reward;
    scores.push_back(sum / static_cast<double>(answers.size()));
  }
  kl_ = kl_of(policy_);
  Metrics metrics;
  const auto add = [&](const char* name, const std::vector<double>& values) {
    metrics.add(name, tensor_of(values, at::kDouble).sum(), static_cast<double>(values.size()));
  };
  add("eval_objective/scores", scores);
  add("eval_kl", kl_);
  add("eval_nll", nll());
  return metrics;
}

std::vector<Figure> HeldOutQuestions::figures(uint64_t seed) {
  complete();
  Comparison comparison = compare_answers(*reference_, before_, after_, seed);
  comparison.kl = bootstrap_mean(kl_, seed);
  const std::string note = std::to_string(questions_.size()) + " held-out prompts, " +
                           std::to_string(options_.n) + " answers each of up to " +
                           std::to_string(options_.max_new_tokens) + " tokens";
  std::vector<Figure> figures = comparison.figures(note);
  if (!kl_before_.empty()) figures[1].before = bootstrap_mean(kl_before_, seed);
  figures[1].name = "KL from the reference, nats an answer";
  figures[1].note = "exact at each token of answers sampled at temperature 1";
  figures[2].name = "perplexity under the reference";
  return figures;
}

std::vector<SideBySide> HeldOutQuestions::samples(std::size_t count) {
  complete();
  std::vector<std::string> asked;
  for (const Question& question : questions_) asked.push_back(question.text);
  return side_by_side(asked, before_, after_, count);
}

}  // namespace prefer
