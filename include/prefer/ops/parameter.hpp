// Trainable tensors by name.
#pragma once

#include "prefer/tensor.hpp"

#include <string>
#include <vector>

namespace prefer {

/// A trainable tensor and its name as it stands in a model file.
struct Parameter {
  std::string name = {};
  Tensor value = {};
};
using Parameters = std::vector<Parameter>;

}  // namespace prefer
