// Log-probabilities of sequences under a policy and its reference.
#include "prefer/objectives/reference.hpp"

#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"

#include <set>

namespace prefer {

SequenceSums sequence_sums(const Model& policy, const ReferenceSource& reference, const Batch& batch,
                           bool wants_reference, const std::string& loss) {
  const Tensor logp = token_logp(policy, batch);  // [M]
  SequenceSums sums{by_sequence(logp, batch), {}, by_sequence(at::ones_like(logp.detach()), batch)};
  if (!wants_reference) return sums;
  const c10::NoGradGuard frozen;
  if (!reference.model && !batch.has("reference"))
    fail("the loss ", loss, " wants a reference model or a batch with a column \"reference\"");
  sums.reference = by_sequence(
      batch.has("reference") ? batch.column("reference") : token_logp(*reference.model, batch), batch);
  return sums;
}

void check_apart(const Model& policy, const ReferenceSource& reference) {
  if (!reference.model) return;
  std::set<const void*> moving;
  for (const Parameter& parameter : policy.parameters()) moving.insert(parameter.value.const_data_ptr());
  for (const Tensor& part : reference.model->head().parts())
    if (moving.contains(part.const_data_ptr()))
      fail("the reference has the policy's own weights, and would move with them; give a copy");
}

Identity starts_at_reference(const Tensor& gap, const ReferenceSource& reference) {
  return {"policy equals reference (largest gap of a sum of log-probs, in nats)", gap.item<double>(), 0.0,
          reference.bound};
}

}  // namespace prefer
