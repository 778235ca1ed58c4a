// What every training run has beside its method: inputs that make it what it is, a folder that it can go on
// from, metrics and a report.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/data/tokenised.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/model/reward_model.hpp"
#include "prefer/text/template.hpp"
#include "prefer/text/tokenizer.hpp"
#include "prefer/train/checkpoint.hpp"
#include "prefer/train/fit.hpp"
#include "prefer/trainers/process.hpp"
#include "prefer/trainers/run_files.hpp"

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace prefer {

/// How the ranks of a run share its work.
struct TeamConfig {
  bool exact = false;  ///< gradients are added up in fixed point: the same bits on any number of ranks
  int64_t slots = 0;   ///< micro-batches of a step, or a multiple; 0: as many as there are ranks

  void describe(Fields& f);
};

/// The keys that every trainer has.
struct RunConfig {
  std::string output = {};                ///< the run's folder
  int64_t seed = 0;                       ///< of the order of records and of every draw
  std::string dtype = "float32";          ///< of the weights (dtype_from_name)
  bool activation_checkpointing = false;  ///< layers are computed again in backward instead of kept
  bool resume = false;                    ///< go on in `output`; false: it must be new or empty
  std::string on_bad = "stop";            ///< or "skip": what a record that cannot be used leads to
  TemplateConfig chat_template = {};
  RecordOrder order = {};
  FitConfig fit = {};
  CheckpointConfig checkpoint = {};
  TeamConfig team = {};
  int64_t log_every = 1;   ///< steps from one line of the log to the next
  int64_t eval_every = 0;  ///< steps (PPO: iterations) from one evaluation to the next; 0: at the end alone
  ProcessConfig process = {};

  void describe(Fields& f);
  /// The parts of `describe` around the order of records and the number of steps, for trainers that count
  /// otherwise.
  void describe_folder(Fields& f);
  void describe_pace(Fields& f);
  /// What is done with records that cannot be used.
  OnBad bad_records() const { return on_bad == "skip" ? OnBad::skip : OnBad::stop; }
  /// Throws Error where `eval_every` has nothing to evaluate on.
  void check(bool has_eval) const;
  /// Sets what follows from the number of records: steps, after which of them checkpoints are saved (as
  /// `eval_every` does, checkpoint.every counts fit.iteration steps as one), and how gradients are added up.
  void resolve(int64_t records);
};

/// Throws Error where a field does not keep its rule, or fields do not work together.
template <class Config>
void check_config(const Config& config) {
  check_fields(config);
  config.check();
}

/// A run and its folder `output`. A trainer says what the run reads, then trains:
///
///     policy = run.model("model", path);                  // and what else it reads
///     Training training(config.fit, source, objective);
///     run.open(training, config_json(config));            // from the newest checkpoint, or from the start
///     run.evaluates(hooks, measure);
///     run.finish(run.fit(training, hooks), ...);
class Run {
 public:
  /// Sets `team.slots` where it is 0: to what the run in `output` has that is gone on with, or to the number
  /// of ranks. `config` and `process` must outlive it.
  Run(RunConfig& config, Process& process);
  Run(const Run&) = delete;
  Run& operator=(const Run&) = delete;

  /// Loads a model: an input of the run, by the name `what`.
  std::shared_ptr<Transformer> model(const std::string& what, const std::string& path);
  /// Loads a reward model, or a language model under a new head, which pads with `tokenizer`'s padding_token.
  std::shared_ptr<RewardModel> reward_model(const std::string& what, const std::string& path,
                                            const Tokenizer& tokenizer);
  /// Says where a reward model, which came from `path`, reads texts at the token before their end.
  void say_where_read(const ModelConfig& model, const std::string& path, const Tokenizer& ours) const;
  /// The function below, on the run's files; says where there is no tokenizer.
  void check_tokenizer(const std::string& what, const std::string& path, const Tokenizer& ours,
                       const std::string& model) const;
  /// Makes `model`, which came from `path`, the one that is trained, and says how large it is.
  void trains(Transformer& model, const std::string& path) const;
  /// The model that `policy`, which came from `model`, is held to: the one at `path`, an input that reads the
  /// same tokens as `tokenizer`, or, where none is given, the policy as it was loaded.
  std::shared_ptr<Transformer> reference(const std::optional<std::string>& path, const Transformer& policy,
                                         const std::string& model, const Tokenizer& tokenizer);
  /// Tests the products of this CPU, says which do not keep their bits, and gives the bound that follows: by
  /// how many nats the reference may differ from the same model as policy in a sequence of `tokens`.
  double reference_bound(const Transformer& policy, int64_t tokens) const;
  /// Anything else that the run reads, by its fingerprint. A run goes on only with the inputs it began with.
  void reads(const std::string& what, const std::string& fingerprint) { inputs_[what] = fingerprint; }
  /// The fingerprint of an input by its name.
  const std::string& input(const std::string& what) const { return inputs_.at(what); }
  /// Whether the reference is the model as loaded, whatever its path: the two must then agree at step 1.
  bool starts_at_reference() const {
    return inputs_.contains("reference") && input("reference") == input("model");
  }
  /// Says what of a file was skipped, and puts it into the report under `what`.
  void skipped(const std::string& what, const std::string& path, const Skipped& skipped);
  /// Records in keyed order, an input of the run; says what was counted and what was skipped. `held_out`: all
  /// of them in one step.
  std::unique_ptr<RecordSource> source(const std::string& what, const std::string& path, Dataset data,
                                       bool held_out);

  /// Says where batch_size is less than the ranks, or more than the records; `what` goes on behind their
  /// number: "records: a step".
  void say_batch(int64_t records, const std::string& what) const;

  /// Keys, with all below them, that may change when a run goes on.
  static const std::vector<std::string>& free_keys();

  /// The order of records, as config and team have it.
  RecordOrder order() const;

  /// Finds where to begin, puts the newest checkpoint into `training` and writes config.json. Throws Error,
  /// on every rank, where a rank has another config, other inputs or other kernels than rank 0. Collective.
  void open(Training& training, const Json& resolved);
  /// Puts an evaluation around `hooks`: the metrics of `measure`, every `eval_every` steps (iterations, where
  /// they are of several) and after the last. It stands before them, so that they see its metrics, and behind
  /// them for the step that one of them makes the last. Every rank calls it, and `measure` returns the same
  /// on each.
  void evaluates(Hooks& hooks, std::function<Metrics()> measure) const;
  /// Figures that were taken before training, which a run that goes on finds in `output`/before.json: `taken`
  /// where the run begins, and what it was then where it goes on. Rank 0 alone knows them; the others get
  /// none.
  std::vector<Figure> before(const Training& training, const std::function<std::vector<Figure>()>& taken);
  /// Trains to the last step: `hooks` first, then console, files and checkpoints, which are rank 0's. Throws
  /// Stopped, after a save, where a signal or a hook's pause ended it before.
  FitResult fit(Training& training, Hooks hooks);
  /// Says how much memory training will take, with or without a live reference.
  void say_memory(const Training& training, RecordSource& source, const ModelConfig& model,
                  bool reference) const;
  /// Says an estimate, to which it adds the sums of team.exact.
  void say_memory(const Training& training, MemoryEstimate estimate) const;
  /// Says the report's figures, adds what is known of the run to it and writes it, after the trainer has
  /// saved its model to `output`/model. Rank 0 calls it.
  void finish(const FitResult& result, const Transformer& model, const std::string& model_path);

  std::string path(const std::string& name) const;  ///< of a file or folder in `output`
  Process& process() const { return process_; }
  Team& team() { return process_.team(); }
  Report& report() { return report_; }
  void write_report();

 private:
  void check_ranks(const RunIdentity& identity);
  void say_warmup() const;
  std::string counted(int64_t step) const;
  void write_config();

  RunConfig& config_;
  Process& process_;
  bool used_ = false;  // whether `output` held something before the run; rank 0 knows
  std::map<std::string, std::string> inputs_;
  Json resolved_;
  std::optional<Checkpoints> checkpoints_;
  Report report_;
};

/// Throws Error where a model of config `model`, which came from `name`, has no place or no embedding for a
/// token of the records, which came from `path`.
void check_fits(const RecordSource& source, const std::string& path, const ModelConfig& model,
                const std::string& name);

/// Throws Error where the tokenizer beside a model that came from `path`, an input by the name `what`, reads
/// other tokens by the same ids than `ours`, the tokenizer of `model`. False where there is none.
bool check_tokenizer(Fs& fs, const std::string& what, const std::string& path, const Tokenizer& ours,
                     const std::string& model);

}  // namespace prefer
