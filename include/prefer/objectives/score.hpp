// Log-probabilities of given sequences, packed into batches by tokens.
#pragma once

#include <span>
#include <vector>

#include "prefer/model/model.hpp"

namespace prefer {

/// For each sequence the log-probs of its scored tokens in order, without gradient. [scored tokens of each]
std::vector<std::vector<float>> score_sequences(const Model& model, std::span<const Sequence> sequences,
                                                int64_t tokens_per_batch = 4096, at::Device device = at::kCPU);

}  // namespace prefer
