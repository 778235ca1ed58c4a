// Proximal policy optimization: a config, and a trainer that composes rollouts, an objective and fit.
#pragma once

#include "prefer/credit/kl_controller.hpp"
#include "prefer/objectives/ppo.hpp"
#include "prefer/rollout/rollouts.hpp"
#include "prefer/trainers/held_out_questions.hpp"
#include "prefer/trainers/run.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <optional>
#include <string>

namespace prefer {

/// An iteration samples answers and learns from them in several steps; warm-up, learning rate, checkpoints,
/// evaluations and samples count iterations.
struct PpoConfig : RunConfig {
  std::string model;
  std::optional<std::string> reference;
  std::string train;
  std::optional<std::string> eval;
  std::optional<std::string> reward_model;
  std::optional<std::string> lexicon;
  std::string value = "own";
  double value_learning_rate_scale = 1;
  int64_t iterations = 100;
  RolloutConfig rollout;
  PpoLoss loss;
  SamplesConfig samples;

  void describe(Fields& f);
  /// Throws Error for fields that do not work together.
  void check() const;
};

/// Trains a policy on a reward of its own answers. While it runs it writes checkpoints, metrics and
/// TensorBoard events to `output`, and at the end a Hugging Face folder `output/model` and
/// `output/report.html`.
class PpoTrainer {
 public:
  /// With `reward` instead of what the config names. Reads models and prompts; throws Error for what is wrong
  /// with them. `process` must outlive the trainer.
  PpoTrainer(PpoConfig config, Process& process, Reward reward = {});
  PpoTrainer(const PpoTrainer&) = delete;
  PpoTrainer& operator=(const PpoTrainer&) = delete;

  /// Runs to the last step and writes model and report. Throws Stopped where a signal ended it before: a
  /// checkpoint holds the iterations that were done, and `resume` goes on from there. `hooks` run after each
  /// step, before the trainer's own.
  void train(Hooks hooks = {});

  Transformer& policy() { return *policy_; }
  const SpanBuilder& spans() const { return spans_; }
  /// What stands in output/report.html; a program may add figures and samples, and write it again.
  Report& report() { return run_.report(); }
  void write_report() { run_.write_report(); }

 private:
  std::vector<Question> load(const std::string& what, const std::string& path);
  Scorer scorer(Reward reward);
  std::shared_ptr<RewardModel> reward_model(const std::string& what, const std::string& path);
  std::shared_ptr<ValueModel> value_model();
  void say_memory() const;
  void finish(const FitResult& result);

  PpoConfig config_;
  Run run_;
  SpanBuilder spans_;
  std::shared_ptr<Transformer> policy_;
  std::shared_ptr<Transformer> reference_;
  KlController controller_;
  std::unique_ptr<RolloutSource> rollouts_;
  std::unique_ptr<PpoObjective> objective_;
  std::optional<HeldOutQuestions> held_out_;
  std::unique_ptr<Samples> samples_;
};

}  // namespace prefer
