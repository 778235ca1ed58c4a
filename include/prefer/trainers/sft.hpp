// Supervised fine-tuning: a config, and a trainer that composes a source, an objective and fit.
#pragma once

#include "prefer/objectives/supervised.hpp"
#include "prefer/trainers/data.hpp"
#include "prefer/trainers/run.hpp"
#include "prefer/trainers/samples.hpp"

#include <memory>
#include <string>
#include <vector>

namespace prefer {

struct SftConfig : RunConfig, DataConfig {
  std::string model;  ///< folder or .gguf that is trained
  SupervisedOptions learn;
  SamplesConfig samples;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// Trains a model on demonstrations. Writes what DpoTrainer writes.
class SftTrainer {
 public:
  /// Reads model and data; throws Error for what is wrong with either. `process` must outlive the trainer.
  SftTrainer(SftConfig config, Process& process);
  SftTrainer(const SftTrainer&) = delete;
  SftTrainer& operator=(const SftTrainer&) = delete;

  /// Runs to the last step and writes model and report; once for each trainer. Throws Stopped where a signal,
  /// or a hook's pause, ended it before: a checkpoint holds what was done, and `resume` goes on from there.
  /// `hooks` run after each step, behind the evaluation and before the trainer's other hooks.
  void train(Hooks hooks = {});

  Transformer& model() { return *model_; }
  const SpanBuilder& spans() const { return spans_; }
  Report& report() { return run_.report(); }
  void write_report() { run_.write_report(); }

 private:
  /// Of each held-out record: the negative log-likelihood, in nats, and the tokens that it is a sum of.
  struct HeldOutTexts {
    std::vector<double> nll, tokens;
    Interval perplexity(uint64_t seed) const;
  };

  Metrics measure();
  std::vector<Figure> figures() const;
  void finish(const FitResult& result);

  SftConfig config_;
  Run run_;
  SpanBuilder spans_;
  std::unique_ptr<Samples> samples_;
  std::shared_ptr<Transformer> model_;
  std::unique_ptr<RecordSource> train_;
  std::unique_ptr<RecordSource> eval_;
  std::unique_ptr<SupervisedObjective> objective_;
  HeldOutTexts held_out_;  ///< what the last pass found
  std::vector<Figure> before_;
};

}  // namespace prefer
