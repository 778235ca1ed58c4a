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

/// Figures as JSON, and back: name, note, and what was measured; what is unknown is null.
Json figures_json(const std::vector<Figure>& figures);
std::vector<Figure> figures_from_json(const Json& figures);

/// What one micro-batch holds.
struct SlotSize {
  int64_t tokens = 0;
  int64_t scored = 0;
};

/// Bytes that training takes at its peak. An estimate, printed before the first step.
struct MemoryEstimate {
  int64_t weights = 0;  ///< of what is trained
  int64_t frozen = 0;   ///< weights of a live reference and of a reward model, which no checkpoint holds
  int64_t gradients = 0;
  int64_t optimizer = 0;          ///< moments and masters
  int64_t activations = 0;        ///< kept for backward, and logits
  int64_t program = 150'000'000;  ///< LibTorch, tokenizer and data
  int64_t total() const { return weights + frozen + gradients + optimizer + activations + program; }
  /// With what reading a checkpoint takes, where that is more.
  std::string text(bool resumed = false) const;
};

struct ModelConfig;
/// `width` is the bytes of a stored number; `reference`: a frozen one is run beside the policy.
MemoryEstimate estimate_memory(const ModelConfig& model, int64_t width, bool reference, const SlotSize& slot,
                               bool checkpointing);

}  // namespace prefer
