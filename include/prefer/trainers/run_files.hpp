// What every trainer's run folder holds beside checkpoints: the resolved config, and curves read back for the
// report.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/eval/report.hpp"
#include "prefer/train/fit.hpp"

#include <string>
#include <vector>

namespace prefer {

/// The curves of `folder`/metrics.jsonl, those that belong together in one plot.
std::vector<Plot> read_plots(Fs& fs, const std::string& folder);

/// Bytes that training takes at its peak: weights and their packed forms, gradients, optimizer, activations
/// of a micro-batch of `tokens` tokens, and logits. An estimate, printed before the first step.
struct MemoryEstimate {
  int64_t weights = 0;  ///< of policy and, live, reference, as stored and as packed for products
  int64_t gradients = 0;
  int64_t optimizer = 0;    ///< moments and masters
  int64_t activations = 0;  ///< kept for backward, and logits
  int64_t total() const { return weights + gradients + optimizer + activations; }
  std::string text() const;
};

struct ModelConfig;
/// `width` is the bytes of a stored number; `models` counts copies of the weights.
MemoryEstimate estimate_memory(const ModelConfig& model, int64_t width, int64_t models, int64_t tokens,
                               bool checkpointing);

}  // namespace prefer
