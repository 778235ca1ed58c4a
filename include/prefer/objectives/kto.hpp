// KTO on answers that are judged one by one: a policy, a reference, and the answers that prompts did not get.
#pragma once

#include "prefer/losses/kto.hpp"
#include "prefer/objectives/objective.hpp"
#include "prefer/objectives/reference.hpp"

namespace prefer {

/// Records are single answers whose first grade is 1 (desirable) or 0; the plan's statistics are mismatched
/// answers (MismatchedSource). The term is per "sequences". Metrics have TRL's names: loss, kl,
/// rewards/{chosen,rejected} and logps/{chosen,rejected}, of the desirable and the undesirable answers.
class KtoObjective final : public Objective {
 public:
  KtoObjective(std::shared_ptr<Model> policy, Kto loss, ReferenceSource reference);

  std::vector<ParameterGroup> parameters() const override;
  /// {"kl": []}, the mean over the step's statistics of log pi - log pi_ref, not clamped.
  NamedTensors prepare(const Plan& plan, Source& source, Team& team) override;
  Loss operator()(const Batch& batch, const NamedTensors& prepared) override;
  /// The same in two steps, for whoever wants each answer's numbers too.
  Judged judged(const Batch& batch, const NamedTensors& prepared) const;
  Loss loss(const Judged& judged) const;
  /// The implicit reward, beta (log pi - log pi_ref).  [S]
  Tensor reward(const Judged& judged) const { return loss_.beta * judged.ratio(); }
  void passed(int64_t) override { at_start_ = false; }

 private:
  SequenceSums sums(const Batch& batch) const;

  std::shared_ptr<Model> policy_;
  Kto loss_;
  ReferenceSource reference_;
  bool at_start_ = true;
};

}  // namespace prefer
