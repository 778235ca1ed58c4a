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
  std::string model;                        ///< folder or .gguf that is trained
  std::optional<std::string> reference;     ///< what the KL in the reward is from; none: the model as loaded
  std::string train;                        ///< file of prompts
  std::optional<std::string> eval;          ///< file of held-out prompts
  bool specials_in_text = false;            ///< plain prompts may spell control tokens
  int64_t eval_samples = 1;                 ///< answers to each held-out prompt
  std::optional<std::string> reward_model;  ///< folder of the reward model, where that is the reward
  std::optional<std::string> lexicon;       ///< file of a sentiment lexicon, where that is the reward
  std::string value = "own";                ///< or "shared", or the folder of a reward model
  double value_learning_rate_scale = 1;     ///< times the optimizer's, for the value model
  int64_t iterations = 100;                 ///< rounds of sampling and learning
  RolloutConfig rollout;
  PpoLoss loss;
  SamplesConfig samples;

  /// Adam's epsilon is that of Huang et al. 2024 (arXiv 2403.17031), detail 8.
  PpoConfig() { fit.optimizer.adam_epsilon = 1e-5; }

  void describe(Fields& f);
  /// Throws Error for fields that do not work together.
  void check() const;
};

/// Trains a policy on a reward of its own answers. While it runs it writes checkpoints, metrics and
/// TensorBoard events to `output`, and at the end a Hugging Face folder `output/model` and
/// `output/report.html`.
class PpoTrainer {
 public:
  /// With the reward that the config names. Reads models and prompts; throws Error for what is wrong with
  /// them. `process` must outlive the trainer.
  PpoTrainer(PpoConfig config, Process& process);
  /// With `reward` instead, and `knobs`, an object of what it depends on (config_json of it): they are saved
  /// with the config, and a run goes on only with the same; a reward that changes otherwise is not noticed.
  PpoTrainer(PpoConfig config, Process& process, Reward reward, Json knobs = Json::object());
  /// The same with a reward of many answers at once, which sees their tokens and what else the prompts'
  /// records hold. Each rank calls it, on answers of its own.
  PpoTrainer(PpoConfig config, Process& process, Scorer reward, Json knobs = Json::object());
  PpoTrainer(const PpoTrainer&) = delete;
  PpoTrainer& operator=(const PpoTrainer&) = delete;

  /// Runs to the last step and writes model and report; once for each trainer. Throws Stopped where a signal,
  /// or a hook's pause, ended it before: a checkpoint holds the iterations that were done, and `resume` goes
  /// on from there. `hooks` run after each step, behind the evaluation and before the trainer's other hooks.
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
  /// A model's context, and what answers leave of it for prompts.
  struct Room {
    std::string model;
    int64_t context = 0, prompt = 0;
  };

  Prompts read(const std::string& what, const std::string& path);
  std::vector<Question> fitting(Prompts prompts);
  Room room_beside(const Question& question) const;
  void check_end_token() const;
  void admit(const ModelConfig& model, const std::string& name);
  Scorer scorer(Scorer own);
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
  Room room_;   ///< the shortest of those that read prompts and answers
  Room judge_;  ///< the reward model's, where one is the reward
  int64_t longest_prompt_ = 0;
  int64_t reward_bytes_ = 0;  ///< of a reward model's weights
  KlController controller_;
  std::unique_ptr<RolloutSource> rollouts_;
  std::unique_ptr<PpoObjective> objective_;
  std::optional<HeldOutQuestions> held_out_;
  std::unique_ptr<Samples> samples_;
};

}  // namespace prefer
