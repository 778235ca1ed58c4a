// Both models' logits in chunks of rows, and kernels/kl over them.
#include "prefer/objectives/token_kl.hpp"

#include "prefer/ops/kl.hpp"

#include <algorithm>

namespace prefer {

Tensor token_kl(const Model& policy, const Model& reference, const Batch& batch) {
  const c10::NoGradGuard frozen;
  constexpr int64_t kRows = 256;                                        // 50 MB a matrix at 49,152 tokens
  const Tensor ours = policy.hidden(batch).index_select(0, batch.row);  // [M, D]
  const Tensor theirs = reference.hidden(batch).index_select(0, batch.row);  // [M, D]
  const int64_t known = std::min(policy.head().rows(), reference.head().rows());
  const at::ScalarType wide = ours.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  Tensor kl = at::zeros({batch.scored()}, ours.options().dtype(wide));  // [M]
  for (int64_t begin = 0; begin < batch.scored(); begin += kRows) {
    const int64_t count = std::min(kRows, batch.scored() - begin);
    const auto logits = [&](const Tensor& hidden, const Model& model) {
      return times_transposed(hidden.narrow(0, begin, count), model.head()).narrow(1, 0, known);  // [m, V]
    };
    kl.narrow(0, begin, count).copy_(kl_divergence(logits(ours, policy), logits(theirs, reference)));
  }
  return kl;
}

}  // namespace prefer
