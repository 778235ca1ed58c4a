// How an op of prefer gets its gradient: a function from the gradients of its outputs to those of its inputs.
#pragma once

#include "prefer/tensor.hpp"

#include <functional>
#include <vector>

namespace prefer {

/// Gradients of the outputs in, gradients of the inputs out, in their order. An undefined Tensor stands for
/// zero in both; `wanted[i]` says whether input i's gradient is used. Called at most once, without gradient
/// mode.
using Backward =
    std::function<std::vector<Tensor>(const std::vector<Tensor>& gradients, const std::vector<bool>& wanted)>;

/// Whether an op on these inputs must record its gradient: gradient mode is on and one of them requires it.
bool wants_gradient(const std::vector<Tensor>& inputs);

/// Makes `backward` the gradient of `outputs`, fresh tensors that were computed from `inputs` without
/// gradient mode. Does nothing unless wants_gradient(inputs). What `backward` has captured is freed after it
/// has run. A second derivative, or a second backward pass over the same op, throws Error.
void differentiable(const char* name, const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                    Backward backward);

/// Runs `body` and keeps none of its intermediate results: backward runs it once more. `body` must give the
/// same bits each time, and reach no tensor that requires gradient but `inputs` and `parameters`.
using Body = std::function<std::vector<Tensor>(const std::vector<Tensor>& inputs)>;
std::vector<Tensor> checkpointed(const Body& body, const std::vector<Tensor>& inputs,
                                 const std::vector<Tensor>& parameters);

}  // namespace prefer
