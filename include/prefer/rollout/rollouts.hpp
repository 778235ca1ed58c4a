// The source of PPO: answers that the policy gives to prompts, iteration by iteration, with their advantages.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/credit/kl_controller.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/model/value_model.hpp"
#include "prefer/objectives/iteration.hpp"
#include "prefer/rollout/answers.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prefer {

/// Names are TRL's where it has them (PPOConfig).
struct RolloutConfig {
  int64_t response_length = 53;                    ///< tokens of an answer at most
  std::optional<int64_t> stop_token_id = {};       ///< ends an answer instead of the model's end tokens
  double temperature = 0.7;                        ///< of sampling, and of every log-prob
  int64_t num_generations = 1;                     ///< answers to each prompt in an iteration
  int64_t num_ppo_epochs = 4;                      ///< passes over the answers of an iteration
  int64_t num_mini_batches = 1;                    ///< optimizer steps a pass
  int64_t local_rollout_forward_batch_size = 32;   ///< answers that a rank decodes at once
  std::optional<double> missing_eos_penalty = {};  ///< taken from the score of an answer without an end
  std::optional<double> missing_eos_score = {};    ///< what such an answer gets instead of its score
  double score_clip = 0;                           ///< scores are cut to -score_clip .. score_clip; 0: not
  double kl_coef = 0.05;                           ///< penalty in the reward, a nat of KL
  double kl_target = 0;                            ///< nats an answer that kl_coef is steered to; 0: it stays
  double kl_horizon = 10000;                       ///< answers in which kl_coef may change by a factor of 1.2
  std::string kl_estimator = "k1";                 ///< of a token's KL in the reward: k1, k2 or k3
  bool whiten_rewards = false;    ///< tokens' rewards of an iteration to variance 1, their mean kept
  bool whiten_advantages = true;  ///< advantages of an iteration to mean 0 and variance 1
  double gamma = 1;               ///< discount a token
  double lam = 0.95;              ///< lambda of generalised advantage estimation

  void describe(Fields& f);
  /// Throws Error unless minibatches divide the prompts of an iteration, kl_coef stays positive where it is
  /// steered, and there is one rule for answers without an end.
  void check(int64_t prompts) const;
  /// What a score counts for: clipped, and, for an answer without an end, less by missing_eos_penalty, as TRL
  /// has it, or missing_eos_score instead, clipped or not, as in Ziegler et al. 2019 (arXiv 1909.08593) and
  /// in Huang et al. 2024 (arXiv 2403.17031), where it is -1.
  double credited(double score, bool ended) const;
  /// As GenerateOptions has it.
  std::vector<int64_t> stop() const;
  /// Optimizer steps an iteration.
  int64_t steps() const { return num_ppo_epochs * num_mini_batches; }
};

/// Who takes part in an iteration.
struct RolloutModels {
  std::shared_ptr<const Transformer> policy = {};
  std::shared_ptr<const Model> reference = {};
  std::shared_ptr<const ValueModel> value = {};
  std::shared_ptr<const Tokenizer> tokenizer = {};
  Scorer score = {};
};

/// Pure in (iteration, weights): iteration i, from 0, is steps i E B + 1 .. (i + 1) E B with E epochs of B
/// minibatches. At its first step `plan`, which is then collective, samples answers to `batch_size`
/// questions, scores them, takes reference log-probs and values, whitens over the iteration and estimates
/// advantages; every rank holds all of it. Draws are keyed by seed, iteration, the question's place in the
/// run, sample and position; minibatches hold whole questions, permuted by a key of (seed, iteration) anew in
/// every epoch. Batches have the columns of the scored axis old_logp, advantage, value and returns, and one
/// read a scored token: the state that it was drawn in.
class RolloutSource final : public Source {
 public:
  /// `order` says how many questions an iteration takes, in which order, and how minibatches are cut into
  /// slots. Team and controller must outlive the source. Throws Error for no questions, or a batch that
  /// minibatches do not divide.
  RolloutSource(const RolloutConfig& config, const RecordOrder& order, std::vector<Question> questions,
                RolloutModels models, const KlController& controller, Team& team);

  Plan plan(int64_t step) override;
  Batch batch(int64_t step, const Slot& slot) override;

  /// The one that was planned last.
  const Iteration& iteration() const { return iteration_; }
  /// That it took to sample, score and credit it.
  double seconds() const { return seconds_; }
  /// Called with how many answers of how many were sampled.
  std::function<void(int64_t done, int64_t total)> progress;

 private:
  struct Flat;
  std::vector<Question> questions_of(int64_t iteration) const;
  Flat roll_out(int64_t iteration, const std::vector<Question>& asked) const;
  void read_models(const std::vector<int64_t>& mine, const std::vector<Record>& records, Flat& flat) const;
  void take_credit(Flat& flat);
  void make(int64_t iteration);

  RolloutConfig config_;
  RecordOrder order_;
  std::vector<Question> questions_;
  RolloutModels models_;
  const KlController& controller_;
  Team& team_;
  Iteration iteration_;
  double seconds_ = 0;
  std::unique_ptr<RecordSource> minibatches_;
};

}  // namespace prefer
