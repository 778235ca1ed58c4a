// Metrics added up over the ranks of a team.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/losses/loss.hpp"

namespace prefer {

/// The metrics of all ranks together, the same on each. Ranks may have different names, or none. Collective.
Metrics merged(const Metrics& mine, Team& team);

}  // namespace prefer
