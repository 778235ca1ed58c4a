// Flattens parameter groups, and refuses what cannot be trained.
#include "prefer/train/trained.hpp"

#include "prefer/core/error.hpp"

#include <set>

namespace prefer {
namespace {

void check(const std::string& name, const Tensor& value) {
  const at::ScalarType type = value.scalar_type();
  if (type != at::kFloat && type != at::kBFloat16 && type != at::kDouble) {
    fail("parameter ", name, " is ", c10::toString(type), "; trained are Float, BFloat16 and Double");
  }
  if (!value.is_leaf() || !value.requires_grad())
    fail("parameter ", name, " wants to be a leaf with gradient");
  if (!value.is_contiguous()) fail("parameter ", name, " is not contiguous");
}

}  // namespace

std::vector<Trained> trained_parameters(const std::vector<ParameterGroup>& groups) {
  std::vector<Trained> result;
  std::set<std::string> names;
  for (const ParameterGroup& group : groups) {
    for (const Parameter& parameter : group.parameters) {
      const std::string name = group.name.empty() ? parameter.name : group.name + "." + parameter.name;
      check(name, parameter.value);
      if (!names.insert(name).second) fail("two trained parameters have the name ", name);
      result.push_back({name, parameter.value, group.learning_rate_scale});
    }
  }
  if (result.empty()) fail("there is no parameter to train");
  return result;
}

}  // namespace prefer
