// Both models' logits in chunks of rows, and kernels/kl over them.
#include "prefer/objectives/token_kl.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/kl.hpp"

namespace prefer {

Tensor token_kl(const Model& policy, const Model& reference, const Batch& batch) {
  if (policy.head().rows() != reference.head().rows()) {
    fail("a KL wants two models of one vocabulary, not ", policy.head().rows(), " and ",
         reference.head().rows(), " tokens");
  }
  const c10::NoGradGuard frozen;
  constexpr int64_t kRows = 256;                                        // 50 MB a matrix at 49,152 tokens
  const Tensor ours = policy.hidden(batch).index_select(0, batch.row);  // [M, D]
  const Tensor theirs = reference.hidden(batch).index_select(0, batch.row);  // [M, D]
  const at::ScalarType wide = ours.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor kl = at::zeros({batch.scored()}, ours.options().dtype(wide));  // [M]
  for (int64_t begin = 0; begin < batch.scored(); begin += kRows) {
    const int64_t count = std::min(kRows, batch.scored() - begin);
    const auto logits = [&](const Tensor& hidden, const Model& model) {
      return times_transposed(hidden.narrow(0, begin, count), model.head());  // [m, V]
    };
    kl.narrow(0, begin, count).copy_(kl_divergence(logits(ours, policy), logits(theirs, reference)));
  }
  return kl;
}

}  // namespace prefer
