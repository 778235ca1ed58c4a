// Names and shapes of weights, and dense layers made of them.
#include "prefer/model/weights.hpp"

#include "prefer/core/error.hpp"
#include "src/model/in_parallel.hpp"

#include <set>

namespace prefer {
namespace {

std::string layer_prefix(int64_t layer) { return "model.layers." + std::to_string(layer) + "."; }

void add_layer_specs(const ModelConfig& c, int64_t layer, std::vector<WeightSpec>& specs) {
  const std::string p = layer_prefix(layer), attention = p + "self_attn.", mlp = p + "mlp.";
  const int64_t queries = c.heads * c.head_dim, keys = c.kv_heads * c.head_dim;
  specs.push_back({p + "input_layernorm.weight", {c.hidden_size}});
  for (const auto& [name, rows] :
       {std::pair<std::string, int64_t>{"q_proj", queries}, {"k_proj", keys}, {"v_proj", keys}}) {
    specs.push_back({attention + name + ".weight", {rows, c.hidden_size}});
    if (c.qkv_bias) specs.push_back({attention + name + ".bias", {rows}});
  }
  if (c.query_key_norm) {
    specs.push_back({attention + "q_norm.weight", {c.head_dim}});
    specs.push_back({attention + "k_norm.weight", {c.head_dim}});
  }
  specs.push_back({attention + "o_proj.weight", {c.hidden_size, queries}});
  if (c.output_bias) specs.push_back({attention + "o_proj.bias", {c.hidden_size}});
  specs.push_back({p + "post_attention_layernorm.weight", {c.hidden_size}});
  specs.push_back({mlp + "gate_proj.weight", {c.intermediate_size, c.hidden_size}});
  specs.push_back({mlp + "up_proj.weight", {c.intermediate_size, c.hidden_size}});
  specs.push_back({mlp + "down_proj.weight", {c.hidden_size, c.intermediate_size}});
}

class DenseLayers final : public Layers {
 public:
  explicit DenseLayers(std::vector<std::shared_ptr<const LayerWeights>> layers)
      : layers_(std::move(layers)) {}
  DenseLayers(const ModelConfig& config, const NamedTensors& weights) {
    for (int64_t i = 0; i < config.layers; ++i) layers_.push_back(make(config, weights, layer_prefix(i)));
  }
  std::shared_ptr<const LayerWeights> acquire(int64_t layer) const override {
    return layers_.at(static_cast<size_t>(layer));
  }

 private:
  static std::shared_ptr<const LayerWeights> make(const ModelConfig& c, const NamedTensors& weights,
                                                  const std::string& prefix) {
    auto layer = std::make_shared<LayerWeights>();
    const auto take = [&](const std::string& name) {
      const Tensor weight = weights.at(prefix + name);
      if (weight.requires_grad()) layer->trained.push_back(weight);
      return weight;
    };
    layer->input_norm = take("input_layernorm.weight");
    layer->qkv = Matrix(
        {take("self_attn.q_proj.weight"), take("self_attn.k_proj.weight"), take("self_attn.v_proj.weight")});
    if (c.qkv_bias) {
      layer->qkv_bias = {take("self_attn.q_proj.bias"), take("self_attn.k_proj.bias"),
                         take("self_attn.v_proj.bias")};
    }
    if (c.query_key_norm) {
      layer->query_norm = take("self_attn.q_norm.weight");
      layer->key_norm = take("self_attn.k_norm.weight");
    }
    layer->output = Matrix(take("self_attn.o_proj.weight"));
    if (c.output_bias) layer->output_bias = take("self_attn.o_proj.bias");
    layer->post_norm = take("post_attention_layernorm.weight");
    layer->gate_up = Matrix({take("mlp.gate_proj.weight"), take("mlp.up_proj.weight")});
    layer->down = Matrix(take("mlp.down_proj.weight"));
    return layer;
  }

  std::vector<std::shared_ptr<const LayerWeights>> layers_;
};

LayerWeights frozen(const LayerWeights& of) {
  const auto copy = [](const Tensor& t) { return t.defined() ? t.detach().clone() : Tensor(); };
  LayerWeights layer{.input_norm = copy(of.input_norm),
                     .qkv = of.qkv.frozen(),
                     .qkv_bias = {},
                     .query_norm = copy(of.query_norm),
                     .key_norm = copy(of.key_norm),
                     .output = of.output.frozen(),
                     .output_bias = copy(of.output_bias),
                     .post_norm = copy(of.post_norm),
                     .gate_up = of.gate_up.frozen(),
                     .down = of.down.frozen(),
                     .trained = {}};
  for (const Tensor& bias : of.qkv_bias) layer.qkv_bias.push_back(copy(bias));
  return layer;
}

}  // namespace

std::vector<WeightSpec> weight_specs(const ModelConfig& config) {
  std::vector<WeightSpec> specs;
  specs.push_back({"model.embed_tokens.weight", {config.vocab_size, config.hidden_size}});
  for (int64_t i = 0; i < config.layers; ++i) add_layer_specs(config, i, specs);
  specs.push_back({"model.norm.weight", {config.hidden_size}});
  if (config.score_head) {
    specs.push_back({"score.weight", {1, config.hidden_size}});
  } else if (!config.tied) {
    specs.push_back({"lm_head.weight", {config.vocab_size, config.hidden_size}});
  }
  return specs;
}

std::shared_ptr<const Layers> dense_layers(const ModelConfig& config, const NamedTensors& weights) {
  std::set<std::string> known;
  for (const WeightSpec& spec : weight_specs(config)) {
    known.insert(spec.name);
    const auto found = weights.find(spec.name);
    if (found == weights.end()) fail("weight ", spec.name, " ", at::IntArrayRef(spec.shape), " is missing");
    if (found->second.sizes() != at::IntArrayRef(spec.shape)) {
      fail("weight ", spec.name, " is ", found->second.sizes(), ", and the config says ",
           at::IntArrayRef(spec.shape));
    }
  }
  for (const auto& [name, weight] : weights)
    if (!known.contains(name)) fail("weight ", name, " ", weight.sizes(), " is not of this config");
  return std::make_shared<DenseLayers>(config, weights);
}

std::shared_ptr<const Layers> frozen_layers(const Layers& layers, int64_t count) {
  std::vector<std::shared_ptr<const LayerWeights>> copies(static_cast<size_t>(count));
  in_parallel(count, [&](int64_t i) {
    copies[static_cast<size_t>(i)] = std::make_shared<LayerWeights>(frozen(*layers.acquire(i)));
  });
  return std::make_shared<DenseLayers>(std::move(copies));
}

}  // namespace prefer
