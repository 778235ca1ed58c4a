// What prefer needs of a language model to train it: hidden states of a batch, a head, and named parameters.
#pragma once

#include "prefer/batch/batch.hpp"
#include "prefer/ops/linear.hpp"
#include "prefer/ops/parameter.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

/// The interface behind which a model of one's own can stand (examples/own_model.cpp). Transformer is ours.
class Model {
 public:
  virtual ~Model() = default;
  /// Hidden states of all tokens after the final norm; a token sees its ancestors' segments and, causally,
  /// its own.
  virtual Tensor hidden(const Batch& batch) const = 0;  // [T, D]
  /// The matrix that makes logits of hidden states.
  virtual const Matrix& head() const = 0;  // [V, D]
  /// All trainable tensors, each once, in a fixed order.
  virtual Parameters parameters() const = 0;
};

}  // namespace prefer
