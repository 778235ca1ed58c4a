// The parameters that are trained, flat and by name, and their gradients summed in fp32 or fp64.
#pragma once

#include "prefer/objectives/objective.hpp"

namespace prefer {

/// One trained tensor, under a name that is its own in the whole run: the group's name, a dot, the
/// parameter's name.
struct Trained {
  std::string name;
  Tensor value;
  double learning_rate_scale = 1;
};

/// The parameters of all groups in their order. Throws Error for a name that stands twice and for a tensor
/// that is not a contiguous leaf with gradient of type fp32, bf16 or fp64.
std::vector<Trained> trained_parameters(const std::vector<ParameterGroup>& groups);

/// Sums of gradients by name: fp64 for fp64 parameters, fp32 for all others. While it lives, every backward
/// adds to it: a hook takes each parameter's gradient as soon as it is complete and frees it, so that bf16
/// never adds to bf16.
class Gradients {
 public:
  explicit Gradients(std::vector<Trained> parameters);
  ~Gradients();
  Gradients(const Gradients&) = delete;
  Gradients& operator=(const Gradients&) = delete;

  /// Starts a step: everything is zero.
  void clear();
  /// One tensor a parameter, of its shape, in the parameters' order.
  std::vector<Tensor>& sums();
  /// The 2-norm over all parameters. On the CPU it is made of double sums over fixed pieces, so that its bits
  /// do not depend on the number of threads. Not finite where any element is not. Synchronises.
  double norm();
  /// The name of the first parameter whose gradient is not finite, or an empty string.
  std::string first_not_finite();
  /// The name of the parameter whose gradient has the largest norm.
  std::string largest();

 private:
  class Collect;
  std::vector<Trained> parameters_;
  std::vector<Tensor> sums_;
  std::vector<char> empty_;  ///< nothing was added yet, and what the sum holds is of an earlier step
};

}  // namespace prefer
