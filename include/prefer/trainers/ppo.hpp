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
  int64_t eval_samples = 1;
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
  /// With `reward` instead of what the config names, and `knobs`, an object of what it depends on
  /// (config_json of it): they are saved with the config, and a run goes on only with the same; a reward that
  /// changes otherwise is not noticed. Reads models and prompts; throws Error for what is wrong with them.
  /// `process` must outlive the trainer.
  PpoTrainer(PpoConfig config, Process& process, Reward reward = {}, Json knobs = Json::object());
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
  /// Prompts of a file, before it is known which of them there is room for.
  struct Prompts {
    std::string what, path;
    std::vector<Question> questions = {};
    Skipped skipped = {};
  };
  /// The model with the shortest context of those that read prompts and answers.
  struct Room {
    std::string model;
    int64_t context = 0;
  };

  Prompts read(const std::string& what, const std::string& path);
  std::vector<Question> fitting(Prompts prompts);
  void admit(const ModelConfig& model, const std::string& name);
  Scorer scorer(Reward reward);
  Scorer scorer(std::shared_ptr<const RewardModel> model) const;
  std::shared_ptr<RewardModel> reward_model(const std::string& what, const std::string& path);
  std::shared_ptr<ValueModel> value_model();
  void hold_out(std::vector<Question> questions, const Scorer& score);
  Json resolved_config() const;
  void say_memory(const Training& training) const;
  void finish(const FitResult& result);

  PpoConfig config_;
  Json knobs_;  ///< of a reward of one's own
  Run run_;
  SpanBuilder spans_;
  std::shared_ptr<Transformer> policy_;
  std::shared_ptr<Transformer> reference_;
  Room room_;
  int64_t longest_prompt_ = 0;
  int64_t reward_bytes_ = 0;  ///< of a reward model's weights
  KlController controller_;
  std::unique_ptr<RolloutSource> rollouts_;
  std::unique_ptr<PpoObjective> objective_;
  std::optional<HeldOutQuestions> held_out_;
  std::unique_ptr<Samples> samples_;
};

}  // namespace prefer
