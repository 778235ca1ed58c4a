// What a model says of given sequences, packed into batches by tokens: log-probabilities, or a reward.
#pragma once

#include "prefer/model/model.hpp"
#include "prefer/model/reward_model.hpp"

#include <span>
#include <vector>

namespace prefer {

/// For each sequence the log-probs of its scored tokens in order, without gradient. A model's context is not
/// looked at: tokens at positions beyond it are scored all the same. [scored tokens of each]
std::vector<std::vector<float>> score_sequences(const Model& model, std::span<const Sequence> sequences,
                                                int64_t tokens_per_batch = 4096,
                                                at::Device device = at::kCPU);

/// The score of each text at its end (RewardModel::end_of), without gradient. Throws Error for an empty text.
std::vector<float> score_texts(const RewardModel& model, std::span<const std::vector<int32_t>> texts,
                               int64_t tokens_per_batch = 4096, at::Device device = at::kCPU);

}  // namespace prefer
