// A transformer small enough for f64 and finite differences, with every part that a real one has.
#pragma once

#include "prefer/model/transformer.hpp"

#include <ATen/CPUGeneratorImpl.h>

namespace prefer::testing {

/// Two layers of grouped heads; weights large enough that every part matters.
inline ModelConfig tiny_config() {
  ModelConfig config;
  config.vocab_size = 23;
  config.hidden_size = 16;
  config.intermediate_size = 24;
  config.layers = 2;
  config.heads = 4;
  config.kv_heads = 2;
  config.head_dim = 4;
  config.context = 64;
  config.norm_eps = 1e-5;
  config.initializer_range = 0.3;
  config.tied = true;
  config.rope.dim = 4;
  config.eos = {2};
  return config;
}

/// Normals of initializer_range, ones for norms, zeros for biases.
inline NamedTensors random_weights(const ModelConfig& config, uint64_t seed, at::ScalarType dtype) {
  NamedTensors weights;
  at::Generator generator = at::make_generator<at::CPUGeneratorImpl>(seed);
  for (const WeightSpec& spec : weight_specs(config)) {
    const auto options = at::TensorOptions(at::kDouble);
    Tensor value = at::ones(spec.shape, options);
    if (spec.shape.size() == 2) value = at::randn(spec.shape, generator, options) * config.initializer_range;
    if (spec.name.ends_with(".bias")) value = at::zeros(spec.shape, options);
    weights[spec.name] = value.to(dtype);
  }
  return weights;
}

inline std::shared_ptr<Transformer> tiny_model(at::ScalarType dtype,
                                               const ModelConfig& config = tiny_config(), uint64_t seed = 1) {
  return std::make_shared<Transformer>(config, random_weights(config, seed, dtype));
}

}  // namespace prefer::testing
