// What values are read from: a network of its own, or a head on the policy's hidden states.
#pragma once

#include "prefer/model/reward_model.hpp"

#include <functional>
#include <memory>

namespace prefer {

class ValueModel {
 public:
  virtual ~ValueModel() = default;
  /// A value for each row that the batch reads (Batch::reads), with gradient. `policy_hidden` gives the
  /// policy's hidden states of the batch, [T, D], for who wants them. [P] float, double of double models.
  virtual Tensor values(const Batch& batch, const std::function<Tensor()>& policy_hidden) const = 0;
  /// What is trained beside the policy.
  virtual Parameters parameters() const = 0;
};

/// A network of its own.
class OwnValueModel final : public ValueModel {
 public:
  explicit OwnValueModel(std::shared_ptr<RewardModel> network) : network_(std::move(network)) {}
  Tensor values(const Batch& batch, const std::function<Tensor()>&) const override {
    return network_->scores(batch);
  }
  Parameters parameters() const override { return network_->parameters(); }

 private:
  std::shared_ptr<RewardModel> network_;
};

/// A row of weights on the policy's hidden states, zeros at first: the value loss trains the policy's layers
/// too.
class SharedValueModel final : public ValueModel {
 public:
  /// For a policy of width `width`, whose numbers are of `policy_type`.
  SharedValueModel(int64_t width, at::ScalarType policy_type, at::Device device);
  Tensor values(const Batch& batch, const std::function<Tensor()>& policy_hidden) const override;
  Parameters parameters() const override { return {{"score.weight", head_}}; }

 private:
  Tensor head_;  // [1, D] float, or double for double
};

/// `model` as a value model of its own: a copy of its layers under a head of zeros, so that all values are 0
/// at first.
std::shared_ptr<RewardModel> value_network(const Transformer& model);

}  // namespace prefer
