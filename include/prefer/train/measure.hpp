// Metrics and numbers of a whole source without training on it, the work shared out to the ranks.
#pragma once

#include "prefer/objectives/objective.hpp"

#include <functional>
#include <string>
#include <vector>

namespace prefer {

/// What is found of a slot, or of all of a step.
struct Findings {
  Metrics metrics = {};
  Tensor rows = {};  // [records, columns] double, numbers of each record in the plan's order; or undefined

  /// A column of `rows`; empty where there are fewer.
  std::vector<double> column(int64_t which) const;
};
using Look = std::function<Findings(const Batch& batch, const Slot& slot)>;
/// How many records of how many were looked at, as this rank's share of the tokens goes.
using Looked = std::function<void(int64_t done, int64_t total)>;

/// Looks at each slot of a plan of `source` without gradient, each rank at its own. Metrics are added up in
/// the order of the slots, so every rank gets the same, with the same bits on any number of ranks.
/// Collective.
Findings measure(const Plan& plan, Source& source, Team& team, const Look& look, const Looked& looked = {});

/// The objective's metrics over the first step of `source` (make its batch as large as the data), their names
/// after `prefix`. Collective.
Metrics measure(Objective& objective, Source& source, const std::string& prefix, Team& team,
                const Looked& looked = {});

}  // namespace prefer
