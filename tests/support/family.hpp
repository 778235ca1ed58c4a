// Sequences that share prefixes in every way there is, a loss of a model on them, and a config with every
// option.
#pragma once

#include "prefer/ops/linear_logprob.hpp"
#include "support/tiny_model.hpp"

namespace prefer::testing {

inline Sequence sequence(std::vector<int32_t> tokens, int64_t group, int64_t prompt) {
  Sequence s;
  s.scored = {{prompt, static_cast<int64_t>(tokens.size()), Term::completion}};
  s.tokens = std::move(tokens);
  s.group = group;
  return s;
}

// A pair with a common prompt, four answers of which two agree further, and a sequence alone.
inline std::vector<Sequence> family() {
  return {sequence({1, 5, 9, 3, 7, 7}, 0, 3),        sequence({1, 5, 9, 8, 2}, 0, 3),
          sequence({4, 4, 6, 10, 11, 12}, 1, 2),     sequence({4, 4, 6, 10, 13}, 1, 2),
          sequence({4, 4, 6, 14, 15, 16, 17}, 1, 2), sequence({4, 4, 20}, 1, 2),
          sequence({3, 1, 4, 1, 5, 9, 2, 6}, 2, 1)};
}

// Weighs every sequence's tokens differently, so that no gradient cancels.
inline Tensor loss_of(const Transformer& model, const Batch& batch) {
  const Tensor logp =
      linear_logprob(model.hidden(batch).index_select(0, batch.row), model.head(), batch.label).logp;
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
