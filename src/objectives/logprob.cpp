// Hidden states, rows that predict, head, log-probabilities; and their sums.
#include "prefer/objectives/logprob.hpp"

#include "prefer/ops/embedding.hpp"
#include "prefer/ops/linear_logprob.hpp"

namespace prefer {

Tensor token_logp(const Model& model, const Batch& batch, double temperature) {
  const Tensor rows = embed(model.hidden(batch), batch.row);                                  // [M, D]
  return linear_logprob(rows, model.head(), batch.label, {.temperature = temperature}).logp;  // [M]
}

Tensor by_sequence(const Tensor& values, const Batch& batch) {
  const Tensor wide = values.to(at::kDouble);
  const Tensor weighted = batch.weight.defined() ? wide * batch.weight.to(at::kDouble) : wide;
  // On a GPU index_add adds with atomics, in another order each time; this adds in the order of the tokens.
  if (weighted.is_cuda() && weighted.size(0) > 0)
    return at::embedding_dense_backward(weighted.unsqueeze(1), batch.sequence, batch.sequences(), -1, false)
        .squeeze(1);  // [S]
  return at::zeros({batch.sequences()}, wide.options().requires_grad(false))
      .index_add(0, batch.sequence, weighted);  // [S]
}

}  // namespace prefer
