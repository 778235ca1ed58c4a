// Log-probabilities of a batch's scored tokens and of its sequences: the one path that every loss and every
// score takes.
#pragma once

#include "prefer/batch/batch.hpp"
#include "prefer/model/model.hpp"

namespace prefer {

/// log pi of each scored token, of logits divided by `temperature`. [M], float (double for a double model).
Tensor token_logp(const Model& model, const Batch& batch, double temperature = 1);

/// Sums a scored-axis tensor over each sequence, in double: the small tensors that losses work on. [S]
Tensor by_sequence(const Tensor& values, const Batch& batch);

}  // namespace prefer
