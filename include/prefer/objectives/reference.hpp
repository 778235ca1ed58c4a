// A reference that a policy is held to, and both their log-probabilities of a batch's sequences.
#pragma once

#include "prefer/losses/loss.hpp"
#include "prefer/model/model.hpp"

#include <memory>

namespace prefer {

/// Where the reference's log-probabilities come from.
struct ReferenceSource {
  /// Run live where the batch has no column "reference"; null: it has one, or the loss needs none. Not the
  /// policy itself, which moves: `frozen()` of a Transformer is a copy.
  std::shared_ptr<const Model> model = {};
  bool is_start = true;  ///< the reference is the policy as it was at step 0, so the two must agree there, or
                         ///< training stops; false for any other model
  double bound = 0;      ///< by how much a sum of log-probs may differ at step 0; 0 asks for the same bits
};

/// Sums over the completion tokens of each sequence.
struct SequenceSums {
  Tensor logp;       // [S] of log pi, with gradient where it is enabled
  Tensor reference;  // [S] of log pi_ref, without; undefined where none is wanted
  Tensor length;     // [S] tokens
};

/// Runs the policy and, with `wants_reference`, the reference. Throws Error, naming `loss`, where that is not
/// to be had.
SequenceSums sequence_sums(const Model& policy, const ReferenceSource& reference, const Batch& batch,
                           bool wants_reference, const std::string& loss);

/// Throws Error where the reference's head is a parameter of the policy: the two would move together.
void check_apart(const Model& policy, const ReferenceSource& reference);

/// What must hold before the first update where the reference is the start; `gap` is the largest of the step.
Identity starts_at_reference(const Tensor& gap, const ReferenceSource& reference);

}  // namespace prefer
