// Gathers the scores of the answers of each pair or ranking, takes the loss, and says what TRL says of them.
#include "prefer/objectives/reward.hpp"

#include "prefer/core/error.hpp"
#include "src/objectives/pairs.hpp"

#include <limits>

namespace prefer {

std::vector<ParameterGroup> RewardObjective::parameters() const {
  return {{"model", model_->parameters(), 1.0}};
}

Tensor RewardObjective::scores(const Batch& batch) const {
  if (batch.reads.row.size(0) != batch.sequences())
    fail("a reward is read once of each sequence; there are ", batch.sequences(), " sequences and ",
         batch.reads.row.size(0), " reads");
  const Tensor scores = model_->scores(batch).to(at::kDouble);  // [P]
  return at::zeros({batch.sequences()}, scores.options().requires_grad(false))
      .index_add(0, batch.reads.sequence, scores);  // [S]
}

Loss RewardObjective::loss(const Batch& batch, const Tensor& scores) const {
  if (const auto* rankings = std::get_if<PlackettLuce>(&loss_.chosen))
    return reward_loss(*rankings, scored_groups(batch, scores));
  return reward_loss(std::get<BradleyTerry>(loss_.chosen), scored_pairs(batch, scores));
}

ScoredPairs scored_pairs(const Batch& batch, const Tensor& scores) {
  const PairRows rows = pair_rows(batch);
  const auto pick = [&](const Tensor& of, const Tensor& at) {
    return of.index_select(0, at.to(of.device(), at::kLong, /*non_blocking=*/true));
  };
  return {pick(scores, rows.chosen), pick(scores, rows.rejected),
          pick(batch.grade, rows.chosen).select(1, 1).to(at::kDouble),
          batch.share.index_select(0, rows.chosen).to(at::kDouble)};
}

ScoredGroups scored_groups(const Batch& batch, const Tensor& scores) {
  const int64_t n = batch.group.max().item<int64_t>() + 1, k = batch.role.max().item<int64_t>() + 1;
  const Tensor place = batch.group * k + batch.role;  // [S] on the CPU
  const Tensor filled = at::zeros({n * k}, at::kLong).index_add(0, place, at::ones_like(place));
  if (filled.max().item<int64_t>() > 1)
    fail("a loss on rankings wants answers of distinct roles in each group; there are ", batch.sequences(),
         " answers in ", n, " groups, and two of one role");
  const auto grid = [&](const Tensor& values, double missing) {
    const Tensor there = place.to(values.device(), at::kLong, /*non_blocking=*/true);
    return at::full({n * k}, missing, values.options().dtype(at::kDouble).requires_grad(false))
        .index_copy(0, there, values.to(at::kDouble))
        .view({n, k});  // [N, K]
  };
  return {grid(scores, 0), grid(batch.grade.select(1, 0), std::numeric_limits<double>::quiet_NaN()),
          grid(batch.share, 0).select(1, 0)};
}

Loss reward_loss(const BradleyTerry& of, const ScoredPairs& p) {
  const Tensor each = of(p);  // [N]
  const Tensor share = p.share.to(each.device(), at::kDouble, /*non_blocking=*/true);
  Loss loss;
  loss.terms.push_back({BradleyTerry::name, (each * share).sum(), "groups", 1.0});

  const c10::NoGradGuard detached;
  const double n = p.share.sum().item<double>();
  const auto add = [&](const char* name, const Tensor& values) {
    loss.metrics.add(name, (values * share).sum(), n);
  };
  add("loss", each);
  add("accuracy", wins(p.chosen - p.rejected));
  add("margin", p.chosen - p.rejected);
  add("mean_reward", (p.chosen + p.rejected) / 2);
  return loss;
}

Loss reward_loss(const PlackettLuce& of, const ScoredGroups& g) {
  const Tensor each = of(g);  // [N]
  const Tensor share = g.share.to(each.device(), at::kDouble, /*non_blocking=*/true);
  Loss loss;
  loss.terms.push_back({PlackettLuce::name, (each * share).sum(), "groups", 1.0});

  const c10::NoGradGuard detached;
  const auto add = [&](const char* name, const Tensor& values, const Tensor& weight) {
    loss.metrics.add(name, (values * weight).sum(), weight.sum().item<double>());
  };
  const Tensor pairs = g.below().to(at::kDouble) * share.view({-1, 1, 1});         // [N, K, K]
  const Tensor answers = (g.rank == g.rank).to(at::kDouble) * share.unsqueeze(1);  // [N, K]
  add("loss", each, share);
  add("accuracy", wins(g.gap()), pairs);
  add("margin", g.gap(), pairs);
  add("mean_reward", g.score, answers);
  return loss;
}

}  // namespace prefer
