// Pairs or rankings from files, as every trainer on them reads them: those to train on, and held-out ones
// that share no prompt with them where that is asked for.
#pragma once

#include "prefer/data/ranking.hpp"
#include "prefer/trainers/process.hpp"

#include <optional>
#include <string>

namespace prefer {

/// The keys of a trainer on pairs.
struct PairsConfig {
  std::string train;                ///< file of pairs, or of rankings
  std::optional<std::string> eval;  ///< file of held-out ones
  bool drop_overlap = false;        ///< leave out training records whose prompt is held out
  LengthOptions length;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

template <class Data>
struct TrainAndEval {
  Data train;
  std::optional<Data> eval;
};
using PairData = TrainAndEval<PreferenceData>;

/// Reads both files, and says how many training records have a prompt that is held out. Throws Error for what
/// load_preferences, or load_rankings, and check_trainable refuse.
PairData load_pairs(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process);
TrainAndEval<RankingData> load_rankings(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad,
                                        Process& process);

}  // namespace prefer
