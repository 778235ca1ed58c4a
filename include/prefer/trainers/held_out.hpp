// Held-out pairs in a run: measured now and then for the curves, and at the end for the report.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/eval/pair_figures.hpp"
#include "prefer/model/generate.hpp"
#include "prefer/objectives/preference.hpp"

#include <memory>
#include <vector>

namespace prefer {

/// How KL(policy || reference) is estimated: by the policy's own answers to held-out prompts.
struct KlConfig {
  int64_t prompts = 32;  ///< held-out prompts that are answered; those that leave no room are passed over
  int64_t max_new_tokens = 64;  ///< of an answer

  void describe(Fields& f);
};

class HeldOut {
 public:
  /// `pairs` holds all of them in one step; objective and models must outlive the value. Without a reference
  /// there is no KL. `seed`: of the answers that it is estimated by. Ranks share the work.
  HeldOut(RecordSource& pairs, PreferenceObjective& objective, const Transformer& policy,
          std::shared_ptr<const Transformer> reference, const KlConfig& kl, uint64_t seed, Team& team);

  /// One pass over all pairs, its progress shown: the objective's metrics with eval_ before their names, and
  /// eval_kl, nats an answer. The same on every rank. Collective.
  Metrics measure();
  /// The same, unless it was done already.
  void measure_once();
  /// How many prompts are answered for eval_kl.
  int64_t kl_prompts() const { return std::ssize(prompts_); }
  /// What the last pass found. For `starts_level` see pair_figures.
  std::vector<Figure> figures(bool starts_level, uint64_t seed);

 private:
  RecordSource& pairs_;
  PreferenceObjective& objective_;
  const Transformer& policy_;
  std::shared_ptr<const Transformer> reference_;
  Team& team_;
  int64_t max_new_tokens_;
  uint64_t seed_;
  std::vector<Prompt> prompts_;
  PairScores scores_;
  std::vector<double> kl_;
};

}  // namespace prefer
