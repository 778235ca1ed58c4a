// A transformer's weights by their Hugging Face names, and a layer's weights as a handle.
#pragma once

#include "prefer/model/config.hpp"
#include "prefer/ops/linear.hpp"
#include "prefer/tensor.hpp"

#include <memory>
#include <string>
#include <vector>

namespace prefer {

/// A name that a model of this config has, and the shape that goes with it.
struct WeightSpec {
  std::string name;
  std::vector<int64_t> shape;
};

/// Every weight of such a model in the order of computation; a tied head is not among them.
std::vector<WeightSpec> weight_specs(const ModelConfig& config);

/// One layer's weights as its forward uses them. Undefined where the config has none.
struct LayerWeights {
  Tensor input_norm;             // [D]
  Matrix qkv;                    // [(H + 2K) d, D], q, k and v stacked
  std::vector<Tensor> qkv_bias;  // [H d], [K d], [K d], or empty
  Tensor query_norm;             // [d]
  Tensor key_norm;               // [d]
  Matrix output;                 // [D, H d]
  Tensor output_bias;            // [D]
  Tensor post_norm;              // [D]
  Matrix gate_up;                // [2I, D], gate and up stacked
  Matrix down;                   // [D, I]
  std::vector<Tensor> trained;   ///< those of the layer's weights that require gradient
};

/// Where layers come from. A handle is held while its layer is computed, and taken again in backward where
/// activations are recomputed: weights may be dense, quantised, or gathered from other ranks for as long as a
/// handle lives.
class Layers {
 public:
  virtual ~Layers() = default;
  virtual std::shared_ptr<const LayerWeights> acquire(int64_t layer) const = 0;
};

/// Layers of weights that lie in memory as they are. Throws Error when a weight is missing, has another
/// shape, or is none of the config's.
std::shared_ptr<const Layers> dense_layers(const ModelConfig& config, const NamedTensors& weights);

/// The first `count` of `layers` as they are now, for forward passes without gradient (Matrix::frozen).
std::shared_ptr<const Layers> frozen_layers(const Layers& layers, int64_t count);

}  // namespace prefer
