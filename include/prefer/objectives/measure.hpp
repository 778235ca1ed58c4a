// Metrics of a whole source without training on it.
#pragma once

#include "prefer/objectives/objective.hpp"

#include <string>

namespace prefer {

/// The objective's metrics over the first step of `source` (make its batch as large as the data), without
/// gradient, their names after `prefix`.
Metrics measure(Objective& objective, Source& source, const std::string& prefix);

}  // namespace prefer
