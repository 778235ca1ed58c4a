// Direct preference optimization and its kin: a config, and a trainer that composes a source, an objective
// and fit.
#pragma once

#include "prefer/losses/preference_loss.hpp"
#include "prefer/objectives/preference.hpp"
#include "prefer/trainers/data.hpp"
#include "prefer/trainers/held_out.hpp"
#include "prefer/trainers/run.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <optional>
#include <string>

namespace prefer {

struct DpoConfig : RunConfig, PairsConfig {
  std::string model;                        ///< folder or .gguf that is trained
  std::optional<std::string> reference;     ///< what the policy is held to; none: the model as loaded
  std::string reference_logprobs = "live";  ///< or "cached": computed once, before training, and kept
  PreferenceLoss loss;
  KlConfig kl;
  SamplesConfig samples;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// Trains a policy on pairs. While it runs it writes checkpoints, metrics and TensorBoard events to `output`,
/// and at the end a Hugging Face folder `output/model` and `output/report.html`.
class DpoTrainer {
 public:
  /// Reads model and data; throws Error for what is wrong with either. `process` must outlive the trainer.
  DpoTrainer(DpoConfig config, Process& process);
  DpoTrainer(const DpoTrainer&) = delete;
  DpoTrainer& operator=(const DpoTrainer&) = delete;

  /// Runs to the last step and writes model and report; once for each trainer. Throws Stopped where a signal,
  /// or a hook's pause, ended it before: a checkpoint holds what was done, and `resume` goes on from there.
  /// `hooks` run after each step, behind the evaluation and before the trainer's other hooks.
  void train(Hooks hooks = {});

  Transformer& policy() { return *policy_; }
  const SpanBuilder& spans() const { return spans_; }
  /// What stands in output/report.html; a program may add figures and samples, and write it again.
  Report& report() { return run_.report(); }
  void write_report() { run_.write_report(); }

 private:
  bool keeps_reference() const;
  void use_reference(RecordSource& source);
  void finish(const FitResult& result);

  DpoConfig config_;
  Run run_;
  SpanBuilder spans_;
  std::shared_ptr<Transformer> policy_;
  std::shared_ptr<Transformer> reference_;  // null once its log-probs are kept, or where the loss needs none
  std::unique_ptr<RecordSource> train_;
  std::unique_ptr<RecordSource> eval_;
  std::unique_ptr<PreferenceObjective> objective_;
  std::optional<HeldOut> held_out_;
  std::unique_ptr<Samples> samples_;
};

}  // namespace prefer
