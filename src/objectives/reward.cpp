// Gathers the scores of the two sides of each pair, takes the loss, and says what TRL says of them.
#include "prefer/objectives/reward.hpp"

#include "prefer/core/error.hpp"
#include "src/objectives/pair_rows.hpp"

namespace prefer {

std::vector<ParameterGroup> RewardObjective::parameters() const {
  return {{"model", model_->parameters(), 1.0}};
}

ScoredPairs RewardObjective::pairs(const Batch& batch) const {
  if (batch.reads.row.size(0) != batch.sequences())
    fail("a reward is read once of each sequence; there are ", batch.sequences(), " sequences and ",
         batch.reads.row.size(0), " reads");
  const Tensor scores = model_->scores(batch).to(at::kDouble);  // [P]
  const Tensor by_sequence = at::zeros({batch.sequences()}, scores.options().requires_grad(false))
                                 .index_add(0, batch.reads.sequence, scores);  // [S]
  const PairRows rows = pair_rows(batch);
  const auto pick = [&](const Tensor& of, const Tensor& at) {
    return of.index_select(0, at.to(of.device(), at::kLong, /*non_blocking=*/true));
  };
  return {pick(by_sequence, rows.chosen), pick(by_sequence, rows.rejected),
          pick(batch.grade, rows.chosen).select(1, 1).to(at::kDouble),
          batch.share.index_select(0, rows.chosen).to(at::kDouble)};
}

Loss RewardObjective::operator()(const Batch& batch, const NamedTensors&) { return loss(pairs(batch)); }

Loss RewardObjective::loss(const ScoredPairs& p) const {
  const Tensor each = loss_(p);  // [N]
  const Tensor share = p.share.to(each.device(), at::kDouble, /*non_blocking=*/true);
  Loss loss;
  loss.terms.push_back({BradleyTerry::name, (each * share).sum(), "groups", 1.0});

  const c10::NoGradGuard detached;
  const double n = p.share.sum().item<double>();
  const Tensor wins =
      (p.chosen > p.rejected).to(at::kDouble) + 0.5 * (p.chosen == p.rejected).to(at::kDouble);
  const auto add = [&](const char* name, const Tensor& values) {
    loss.metrics.add(name, (values * share).sum(), n);
  };
  add("loss", each);
  add("accuracy", wins);
  add("margin", p.chosen - p.rejected);
  add("mean_reward", (p.chosen + p.rejected) / 2);
  return loss;
}

}  // namespace prefer
