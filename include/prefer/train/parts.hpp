// Numbers and metrics of the parts of a whole, each part one rank's: gathered on every rank, in the order of
// the parts.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/losses/loss.hpp"

#include <map>

namespace prefer {

/// A row a part: `mine` holds those of this rank, each [width]. On the CPU, double, the same on every rank;
/// reads a GPU once. Collective. [parts, width]
Tensor gathered(const std::map<int64_t, Tensor>& mine, int64_t parts, int64_t width, Team& team);

/// The metrics of all parts, added up in the order of the parts: so the bits do not depend on which rank had
/// which. Parts may have different names, or none. Collective.
Metrics merged(const std::map<int64_t, Metrics>& mine, int64_t parts, Team& team);

}  // namespace prefer
