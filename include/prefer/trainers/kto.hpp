// Kahneman-Tversky optimization: a config, and a trainer that composes judged answers, an objective and fit.
#pragma once

#include "prefer/batch/mismatched.hpp"
#include "prefer/data/supervised.hpp"
#include "prefer/objectives/kto.hpp"
#include "prefer/trainers/run.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <optional>
#include <string>

namespace prefer {

struct KtoConfig : RunConfig {
  std::string model;
  std::optional<std::string> reference;
  std::string train;
  std::optional<std::string> eval;
  LengthOptions length;
  Kto loss;
  SamplesConfig samples;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// Trains a policy on answers judged one by one: records {prompt, completion, label}. Writes what DpoTrainer
/// writes.
class KtoTrainer {
 public:
  /// Reads models and data; throws Error for what is wrong with them. `process` must outlive the trainer.
  KtoTrainer(KtoConfig config, Process& process);
  KtoTrainer(const KtoTrainer&) = delete;
  KtoTrainer& operator=(const KtoTrainer&) = delete;

  /// Runs to the last step and writes model and report. Throws Stopped where a signal ended it before: a
  /// checkpoint holds what was done, and `resume` goes on from there.
  void train();

  Transformer& policy() { return *policy_; }
  Report& report() { return run_.report(); }

 private:
  std::unique_ptr<RecordSource> source(const char* what, const std::string& path, bool held_out);
  std::unique_ptr<MismatchedSource> mismatched(std::unique_ptr<RecordSource> records,
                                               const std::string& path);
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
  } held_out_;
};

}  // namespace prefer
