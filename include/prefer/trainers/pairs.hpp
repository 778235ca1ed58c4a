// Pairs from files, as every trainer on pairs reads them: training pairs, and held-out ones that share no
// prompt with them where that is asked for.
#pragma once

#include "prefer/data/tokenised.hpp"
#include "prefer/trainers/process.hpp"

#include <optional>
#include <string>

namespace prefer {

/// The keys of a trainer on pairs.
struct PairsConfig {
  std::string train;
  std::optional<std::string> eval;
  bool drop_overlap = false;
  LengthOptions length;

  void describe(Fields& f);
  /// Throws Error for a field that does nothing without another.
  void check() const;
};

struct PairData {
  PreferenceData train;
  std::optional<PreferenceData> eval;
};

/// Reads both files, and says how many training pairs have a prompt that is held out. Throws Error for what
/// load_preferences and check_trainable refuse.
PairData load_pairs(const PairsConfig& config, const SpanBuilder& spans, OnBad on_bad, Process& process);

}  // namespace prefer
