// How far a policy's next-token distributions are from a reference's, exactly, at given places.
#pragma once

#include "prefer/model/model.hpp"

namespace prefer {

/// KL(pi(.|x, y_<t) || ref(.|x, y_<t)) at each scored token of a batch: the sum over the vocabulary, in nats,
/// without gradient. [M] float (double for double models). Where one head has more rows than the other (they
/// are often padded), over the ids that both have.
Tensor token_kl(const Model& policy, const Model& reference, const Batch& batch);

}  // namespace prefer
