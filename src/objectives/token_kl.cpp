// token_kl as a call of linear_logprob with a second model.
#include "prefer/objectives/token_kl.hpp"

#include "prefer/ops/linear_logprob.hpp"

namespace prefer {

Tensor token_kl(const Model& policy, const Model& reference, const Batch& batch) {
  const c10::NoGradGuard frozen;
  const Tensor ours = policy.hidden(batch).index_select(0, batch.row);       // [M, D]
  const Tensor theirs = reference.hidden(batch).index_select(0, batch.row);  // [M, D]
  return linear_logprob(ours, policy.head(), batch.label, {}, {theirs, reference.head()}).kl;
}

}  // namespace prefer
