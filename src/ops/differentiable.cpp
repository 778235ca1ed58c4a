// The autograd node behind `differentiable` and `checkpointed`: the only file of the ops that sees LibTorch's
// engine.
#include "prefer/ops/differentiable.hpp"

#include "prefer/core/error.hpp"

#include <torch/csrc/autograd/autograd.h>
#include <torch/csrc/autograd/function.h>
#include <torch/csrc/autograd/functions/utils.h>

namespace prefer {
namespace {

class OpNode final : public torch::autograd::Node {
 public:
  OpNode(const char* op, Backward backward) : op_(op), backward_(std::move(backward)) {}

  std::string name() const override { return op_; }
  void release_variables() override { backward_ = nullptr; }

 private:
  torch::autograd::variable_list apply(torch::autograd::variable_list&& gradients) override {
    if (at::GradMode::is_enabled()) fail(op_, " was asked for a second derivative, and has none");
    if (!backward_) fail(op_, " was run backward twice; its intermediate results were freed the first time");
    std::vector<bool> wanted(num_outputs());
    for (size_t i = 0; i < wanted.size(); ++i) wanted[i] = task_should_compute_output(i);
    return std::exchange(backward_, nullptr)(gradients,
                                             wanted);  // some form their gradient over what they kept
  }

  const char* op_;
  Backward backward_;
};

}  // namespace

bool wants_gradient(const std::vector<Tensor>& inputs) {
  if (!at::GradMode::is_enabled()) return false;
  for (const Tensor& input : inputs) {
    if (input.defined() && input.requires_grad()) return true;
  }
  return false;
}

void differentiable(const char* name, const std::vector<Tensor>& outputs, const std::vector<Tensor>& inputs,
                    Backward backward) {
  if (!wants_gradient(inputs)) return;
  for (const Tensor& output : outputs) {
    if (output.is_view() || output.requires_grad())
      fail(name, ": an output must be a tensor of its own, without gradient");
  }
  auto node = std::make_shared<OpNode>(name, std::move(backward));
  node->set_next_edges(torch::autograd::collect_next_edges(inputs));
  torch::autograd::set_history(outputs, node);
}

namespace {

/// The gradients of a body that is run once more on what was `kept` of its inputs.
std::vector<Tensor> backward_again(const Body& body, const std::vector<Tensor>& kept,
                                   const std::vector<Tensor>& parameters,
                                   const std::vector<Tensor>& gradients, const std::vector<bool>& wanted) {
  const at::AutoGradMode with_grad(true);
  std::vector<Tensor> fresh;
  std::vector<Tensor> sought;
  for (size_t i = 0; i < kept.size(); ++i) {
    fresh.push_back(kept[i].detach());
    if (wanted[i]) sought.push_back(fresh.back().requires_grad_());
  }
  for (size_t i = 0; i < parameters.size(); ++i) {
    if (wanted[kept.size() + i]) sought.push_back(parameters[i]);
  }
  std::vector<Tensor> reached;
  std::vector<Tensor> upstream;
  const std::vector<Tensor> recomputed = body(fresh);
  for (size_t i = 0; i < recomputed.size(); ++i) {
    if (!gradients[i].defined()) continue;
    reached.push_back(recomputed[i]);
    upstream.push_back(gradients[i]);
  }
  const auto found = torch::autograd::grad(reached, sought, upstream, /*retain_graph=*/false,
                                           /*create_graph=*/false, /*allow_unused=*/true);
  std::vector<Tensor> result(wanted.size());
  for (size_t i = 0, next = 0; i < wanted.size(); ++i) {
    if (wanted[i]) result[i] = found[next++];
  }
  return result;
}

}  // namespace

std::vector<Tensor> checkpointed(const Body& body, const std::vector<Tensor>& inputs,
                                 const std::vector<Tensor>& parameters) {
  std::vector<Tensor> all = inputs;
  all.insert(all.end(), parameters.begin(), parameters.end());
  if (!wants_gradient(all)) return body(inputs);

  std::vector<Tensor> kept;
  for (const Tensor& input : inputs) kept.push_back(input.detach());
  std::vector<Tensor> outputs;
  {
    const at::NoGradGuard no_grad;
    outputs = body(kept);
  }
  differentiable("checkpointed", outputs, all,
                 [body, kept, parameters](const auto& gradients, const auto& wanted) {
                   return backward_again(body, kept, parameters, gradients, wanted);
                 });
  return outputs;
}

}  // namespace prefer
