// Sequences that share prefixes in every way there is, a loss of a model on them, and a config with every
// option.
#pragma once

#include "support/scoring.hpp"
#include "support/tiny_model.hpp"

namespace prefer::testing {

// A pair with a common prompt, four answers of which two agree further, and a sequence alone.
inline std::vector<Sequence> family() {
  return {sequence_of({1, 5, 9, 3, 7, 7}, 3, 0),        sequence_of({1, 5, 9, 8, 2}, 3, 0),
          sequence_of({4, 4, 6, 10, 11, 12}, 2, 1),     sequence_of({4, 4, 6, 10, 13}, 2, 1),
          sequence_of({4, 4, 6, 14, 15, 16, 17}, 2, 1), sequence_of({4, 4, 20}, 2, 1),
          sequence_of({3, 1, 4, 1, 5, 9, 2, 6}, 1, 2)};
}

// Weighs every sequence's tokens differently, so that no gradient cancels.
inline Tensor loss_of(const Transformer& model, const Batch& batch) {
  const Tensor logp = score(model, batch);
  const Tensor weight =
      (batch.sequence + 1).to(logp.scalar_type()) * (batch.label + 2).to(logp.scalar_type());
  return (logp * weight).sum();
}

inline ModelConfig every_option() {
  ModelConfig config = tiny_config();
  config.tied = false;
  config.qkv_bias = config.output_bias = config.query_key_norm = true;
  config.window = 3;
  return config;
}

}  // namespace prefer::testing
