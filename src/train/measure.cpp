// Looks at a rank's slots, and puts together what all ranks found.
#include "prefer/train/measure.hpp"

#include "prefer/train/parts.hpp"

#include <algorithm>

namespace prefer {
namespace {

/// The first record of each slot among those of the plan, and how many there are.
std::vector<int64_t> begins_of(const Plan& plan) {
  std::vector<int64_t> begins = {0};
  for (const Slot& slot : plan.slots)
    begins.push_back(begins.back() + static_cast<int64_t>(slot.records.size()));
  return begins;
}

}  // namespace

std::vector<double> Findings::column(int64_t which) const {
  if (which >= rows.size(1)) return {};
  const Tensor values = rows.select(1, which).contiguous();
  return {values.const_data_ptr<double>(), values.const_data_ptr<double>() + values.numel()};
}

Findings measure(const Plan& plan, Source& source, Team& team, const Look& look, const Looked& looked) {
  const c10::NoGradGuard frozen;
  const std::vector<int64_t> tokens = tokens_of(plan.slots), begins = begins_of(plan);
  const std::vector<int64_t> mine = team.mine(tokens);
  int64_t share = 0, done = 0, columns = 0;
  for (const int64_t i : mine) share += tokens[i];
  std::map<int64_t, Metrics> metrics;  // by slot
  std::map<int64_t, Tensor> rows;      // by record, [columns]
  for (const int64_t i : mine) {
    Findings found = look(source.batch(plan.step, plan.slots[i]), plan.slots[i]);
    metrics[i] = std::move(found.metrics);
    if (found.rows.defined()) {
      const Tensor table = found.rows.to(at::kCPU);  // [records of the slot, columns]
      for (int64_t n = 0; n < table.size(0); ++n) rows[begins[i] + n] = table[n];
      columns = table.size(1);
    }
    done += tokens[i];
    if (looked) looked(begins.back() * done / share, begins.back());
  }
  columns = static_cast<int64_t>(std::ranges::max(team.gather(static_cast<double>(columns))));
  return {merged(metrics, static_cast<int64_t>(plan.slots.size()), team),
          columns > 0 ? gathered(rows, begins.back(), columns, team) : Tensor()};
}

Metrics measure(Objective& objective, Source& source, const std::string& prefix, Team& team,
                const Looked& looked) {
  const c10::NoGradGuard frozen;
  const Plan plan = source.plan(1);
  const NamedTensors prepared = objective.prepare(plan, source, team);
  const Look look = [&](const Batch& batch, const Slot&) {
    Findings found;
    found.metrics.merge(objective(batch, prepared).metrics, prefix);
    return found;
  };
  return measure(plan, source, team, look, looked).metrics;
}

}  // namespace prefer
