// Kahneman-Tversky optimization: a config, and a trainer that composes judged answers, an objective and fit.
#pragma once

#include "prefer/batch/mismatched.hpp"
#include "prefer/objectives/kto.hpp"
#include "prefer/trainers/data.hpp"
#include "prefer/trainers/run.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <optional>
#include <string>

namespace prefer {

struct KtoConfig : RunConfig, DataConfig {
  std::string model;                     ///< folder or .gguf that is trained
  std::optional<std::string> reference;  ///< what the policy is held to; none: the model as loaded
  LengthOptions length;
  Kto loss;
  SamplesConfig samples;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// Trains a policy on answers judged one by one: records {prompt, completion, label} or {messages, label}.
/// Writes what DpoTrainer writes.
class KtoTrainer {
 public:
  /// Reads models and data; throws Error for what is wrong with them. `process` must outlive the trainer.
  KtoTrainer(KtoConfig config, Process& process);
  KtoTrainer(const KtoTrainer&) = delete;
  KtoTrainer& operator=(const KtoTrainer&) = delete;

  /// Runs to the last step and writes model and report; once for each trainer. Throws Stopped where a signal,
  /// or a hook's pause, ended it before: a checkpoint holds what was done, and `resume` goes on from there.
  /// `hooks` run after each step, behind the evaluation and rewards/margins, before what the trainer writes.
  void train(Hooks hooks = {});

  Transformer& policy() { return *policy_; }
  const SpanBuilder& spans() const { return spans_; }
  Report& report() { return run_.report(); }
  void write_report() { run_.write_report(); }

 private:
  std::unique_ptr<MismatchedSource> mismatched(std::unique_ptr<RecordSource> records, const std::string& path,
                                               int64_t context);
  /// One pass over the held-out answers.
  Metrics measure();
  /// What it found.
  std::vector<Figure> figures() const;
  void finish(const FitResult& result);

  KtoConfig config_;
  Run run_;
  SpanBuilder spans_;
  std::unique_ptr<Samples> samples_;
  std::shared_ptr<Transformer> policy_;
  std::unique_ptr<MismatchedSource> train_;
  std::unique_ptr<MismatchedSource> eval_;
  std::unique_ptr<KtoObjective> objective_;
  struct HeldOutAnswers {
    std::vector<double> reward, good;  ///< of each answer; good is 1 or 0
    std::vector<std::size_t> prompt;   ///< the same number for answers to the same
  } held_out_;
};

}  // namespace prefer
