// Sequences scored by a model: the batches and log-probabilities that tests compare.
#pragma once

#include "prefer/model/transformer.hpp"
#include "prefer/ops/linear_logprob.hpp"

#include <vector>

namespace prefer::testing {

/// A sequence whose tokens from `prompt` on are scored.
inline Sequence sequence_of(std::vector<int32_t> tokens, int64_t prompt = 1, int64_t group = 0) {
  Sequence s;
  s.scored = {{prompt, static_cast<int64_t>(tokens.size()), Term::completion}};
  s.tokens = std::move(tokens);
  s.group = group;
  return s;
}

inline Batch batch_of(const std::vector<Sequence>& sequences, Sharing sharing = Sharing::off) {
  return make_batch(make_forest(sequences, sharing));
}

/// Log-probabilities of a batch's scored tokens, [M].
inline Tensor score(const Transformer& model, const Batch& batch) {
  return linear_logprob(model.hidden(batch).index_select(0, batch.row), model.head(), batch.label).logp;
}

}  // namespace prefer::testing
