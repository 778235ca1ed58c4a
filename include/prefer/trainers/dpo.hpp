// Direct preference optimization and its kin: a config, and a trainer that composes a source, an objective
// and fit.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/data/tokenised.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/losses/preference_loss.hpp"
#include "prefer/model/transformer.hpp"
#include "prefer/objectives/preference.hpp"
#include "prefer/train/checkpoint.hpp"
#include "prefer/train/fit.hpp"
#include "prefer/trainers/process.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <optional>
#include <string>

namespace prefer {

struct DpoConfig {
  std::string model;
  std::optional<std::string> reference;
  std::string train;
  std::optional<std::string> eval;
  std::string output;
  int64_t seed = 0;
  std::string dtype = "float32";
  std::string reference_logprobs = "live";
  bool activation_checkpointing = false;
  bool resume = false;
  std::string on_bad = "stop";
  PreferenceLoss loss;
  LengthOptions length;
  RecordOrder order;
  FitConfig fit;
  CheckpointConfig checkpoint;
  int64_t log_every = 1;
  int64_t eval_every = 0;
  SamplesConfig samples;
  ProcessConfig process;

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

  /// Runs to the last step and writes model and report: true. Where a signal stopped it, false: a checkpoint
  /// holds what was done, and `resume` goes on from there.
  bool train();

  Transformer& policy() { return *policy_; }
  const SpanBuilder& spans() const { return spans_; }
  /// What stands in output/report.html; a program may add figures and samples, and write it again.
  Report& report() { return report_; }
  void write_report();

 private:
  std::unique_ptr<RecordSource> source(const std::string& path, const std::string& name);
  bool keeps_reference() const;
  void use_reference(RecordSource& source);
  void write_config(const Json& resolved);
  void say_memory(const Training& training) const;
  FitResult run(Training& training, Checkpoints& checkpoints, Team& team);
  void finish(const FitResult& result);
  std::vector<Figure> held_out_figures() const;

  DpoConfig config_;
  Process& process_;
  SpanBuilder spans_;
  std::shared_ptr<Transformer> policy_;
  std::shared_ptr<Transformer> reference_;  // null once its log-probs are kept, or where the loss needs none
  std::map<std::string, std::string> inputs_;
  Skipped skipped_;
  std::unique_ptr<RecordSource> train_;
  std::unique_ptr<RecordSource> eval_;
  std::unique_ptr<PreferenceObjective> objective_;
  std::optional<Samples> samples_;
  Report report_;
};

}  // namespace prefer
