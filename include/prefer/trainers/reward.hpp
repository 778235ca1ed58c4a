// Reward modelling: a config, and a trainer that composes pairs or rankings, a reward model, its loss and
// fit.
#pragma once

#include "prefer/eval/reward_figures.hpp"
#include "prefer/objectives/reward.hpp"
#include "prefer/trainers/data.hpp"
#include "prefer/trainers/run.hpp"

#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prefer {

struct RewardConfig : RunConfig, PairsConfig {
  std::string model;  ///< folder or .gguf: a language model, which gets a new head, or a reward model
  RewardLoss loss;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// Trains a reward model on pairs, or on rankings with loss.name=plackett_luce: a language model under a new
/// head, or a reward model further. Writes what DpoTrainer writes; `output`/model is a Hugging Face
/// ...ForSequenceClassification of one label.
class RewardTrainer {
 public:
  /// Reads model and data; throws Error for what is wrong with either. `process` must outlive the trainer.
  RewardTrainer(RewardConfig config, Process& process);
  RewardTrainer(const RewardTrainer&) = delete;
  RewardTrainer& operator=(const RewardTrainer&) = delete;

  /// Runs to the last step and writes model and report; once for each trainer. Throws Stopped where a signal,
  /// or a hook's pause, ended it before: a checkpoint holds what was done, and `resume` goes on from there.
  /// `hooks` run after each step, behind the evaluation and before the trainer's other hooks.
  void train(Hooks hooks = {});

  RewardModel& model() { return *model_; }
  const SpanBuilder& spans() const { return spans_; }
  Report& report() { return run_.report(); }
  void write_report() { run_.write_report(); }

 private:
  /// Two answers of a held-out record, of which the first is the better; their scores are in scores_.
  struct HeldOutPair {
    JudgedPair pair;
    std::size_t record = 0, chosen = 0, rejected = 0;
  };

  template <class Data>
  void read(const Data& train, const std::optional<Data>& eval);
  template <class Data>
  std::unique_ptr<RecordSource> source(const std::string& what, const std::string& path, const Data& data,
                                       bool held_out);
  static std::vector<HeldOutPair> pairs_of(const PreferenceData& data);
  static std::vector<HeldOutPair> pairs_of(const RankingData& data);
  std::vector<JudgedPair> judged() const;
  Metrics measure();
  std::vector<Figure> figures();
  void finish(const FitResult& result);

  RewardConfig config_;
  Run run_;
  SpanBuilder spans_;
  std::shared_ptr<RewardModel> model_;
  std::unique_ptr<RecordSource> train_;
  std::unique_ptr<RecordSource> eval_;
  std::unique_ptr<RewardObjective> objective_;
  std::vector<HeldOutPair> pairs_;           ///< that are held out
  std::vector<std::vector<double>> scores_;  ///< of every answer of every held-out record, by the last pass
  std::vector<Figure> before_;
};

}  // namespace prefer
