// The parameters that are trained, flat and by name.
#pragma once

#include "prefer/objectives/objective.hpp"

namespace prefer {

/// One trained tensor, under a name that is its own in the whole run: the group's name, a dot, the
/// parameter's name.
struct Trained {
  std::string name = {};
  Tensor value = {};
  double learning_rate_scale = 1;
};

/// The parameters of all groups in their order. Throws Error for a name that stands twice and for a tensor
/// that is not a contiguous leaf with gradient of type fp32, bf16 or fp64.
std::vector<Trained> trained_parameters(const std::vector<ParameterGroup>& groups);

}  // namespace prefer
