// The head on the policy's hidden states, and a network that begins as the policy.
#include "prefer/model/value_model.hpp"

#include "prefer/ops/embedding.hpp"

namespace prefer {

SharedValueModel::SharedValueModel(int64_t width, at::ScalarType policy_type, at::Device device) {
  const auto type = policy_type == at::kDouble ? at::kDouble : at::kFloat;
  head_ = at::zeros({1, width}, at::TensorOptions(device).dtype(type));
  head_.requires_grad_();
}

Tensor SharedValueModel::values(const Batch& batch, const std::function<Tensor()>& policy_hidden) const {
  const Tensor rows = embed(policy_hidden(), batch.reads.row);  // [P, D]
  return (rows.to(head_.scalar_type()) * head_).sum(1);         // [P]
}

std::shared_ptr<RewardModel> value_network(const Transformer& model) {
  const auto headed = with_score_head(model, {});
  NamedTensors weights;
  for (const auto& [name, weight] : headed->weights()) weights[name] = weight.detach().clone();
  weights.at("score.weight").zero_();
  return std::make_shared<RewardModel>(std::make_shared<Transformer>(headed->config(), std::move(weights)));
}

}  // namespace prefer
