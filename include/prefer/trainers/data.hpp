// Records from files, as every trainer on records reads them: those to train on, and held-out ones that share
// no prompt with them where that is asked for.
#pragma once

#include "prefer/data/ranking.hpp"
#include "prefer/data/supervised.hpp"
#include "prefer/trainers/process.hpp"

#include <optional>
#include <string>

namespace prefer {

/// The files of a trainer on records.
struct DataConfig {
  std::string train = {};                ///< file of records
  std::optional<std::string> eval = {};  ///< file of held-out ones
  bool drop_overlap = false;             ///< leave out training records whose prompt is held out

  /// With what `train` and `eval` hold.
  void describe(Fields& f, std::string_view train_help, std::string_view eval_help);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

/// The keys of a trainer on pairs, or on rankings.
struct PairsConfig : DataConfig {
  LengthOptions length = {};

  void describe(Fields& f);
};

template <class Data>
struct TrainAndEval {
  Data train;
  std::optional<Data> eval;
};
using PairData = TrainAndEval<PreferenceData>;
using RankedData = TrainAndEval<RankingData>;
using TextData = TrainAndEval<SupervisedData>;

/// What `read` gives. Throws Error for a bad record that stops it, with the way on.
template <class Read>
auto or_way_on(const Read& read) {
  try {
    return read();
  } catch (const BadRecord& bad) {
    fail(bad.what(), "; on_bad=skip leaves such records out and counts them");
  }
}

/// Reads both files, and says how many training records have a prompt that is held out. Throws Error for what
/// load_preferences, or load_rankings, load_demonstrations, load_judged, and check_trainable refuse.
PairData load_pairs(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process);
RankedData load_rankings(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process);
TextData load_demonstrations(const DataConfig& config, const SupervisedOptions& learn,
                             const SpanBuilder& spans, OnBad on_bad, Process& process);
TextData load_judged(const DataConfig& config, const LengthOptions& length, const SpanBuilder& spans,
                     OnBad on_bad, Process& process);

}  // namespace prefer
