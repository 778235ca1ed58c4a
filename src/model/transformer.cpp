// The forward pass of the Llama family.
#include "prefer/model/transformer.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/differentiable.hpp"
#include "prefer/ops/embedding.hpp"
#include "prefer/ops/norm.hpp"
#include "prefer/ops/swiglu.hpp"
#include "src/ops/row_counts.hpp"

#include <ATen/ops/constant_pad_nd.h>

#include <mutex>

namespace prefer {
namespace {

/// What every layer of one forward pass shares.
struct Pass {
  const ModelConfig& config;
  std::shared_ptr<const Placement> placement;  // kept for backward where activations are computed again
  RopeTable table;
};

Tensor stacked_bias(const LayerWeights& w) { return w.qkv_bias.empty() ? Tensor() : at::cat(w.qkv_bias); }

/// The norm of `x` without gradient: what a product makes anew in backward rather than keep.
std::function<Tensor()> norm_again(const Tensor& x, const Tensor& gain, const Pass& pass) {
  return
      [x = x.detach(), gain = gain.detach(), eps = pass.config.norm_eps] { return rms_norm(x, gain, eps); };
}

QueryKeyValue project(const LayerWeights& w, const Tensor& x, const Pass& pass) {
  const ModelConfig& c = pass.config;
  const Tensor qkv = linear(rms_norm(x, w.input_norm, c.norm_eps), w.qkv, stacked_bias(w),
                            norm_again(x, w.input_norm, pass));  // [T, (H + 2K) d]
  if (!c.query_key_norm) return split_rope(qkv, c.heads, c.kv_heads, pass.placement->positions, pass.table);
  const auto heads = [&](int64_t first, int64_t count) {
    return qkv.narrow(1, first * c.head_dim, count * c.head_dim).reshape({-1, c.head_dim});
  };
  const auto turned = [&](const Tensor& rows, const Tensor& norm, int64_t count) {
    const Tensor normed = rms_norm(rows, norm, c.norm_eps).view({-1, count, c.head_dim});
    return rope(normed, pass.placement->positions, pass.table);
  };
  return {turned(heads(0, c.heads), w.query_norm, c.heads),
          turned(heads(c.heads, c.kv_heads), w.key_norm, c.kv_heads),
          heads(c.heads + c.kv_heads, c.kv_heads).view({-1, c.kv_heads, c.head_dim})};
}

/// One layer; `see` gives attention's result for this layer's queries, keys and values.
template <class See>
Tensor layer_forward(const LayerWeights& w, const Tensor& x, const Pass& pass, const See& see) {
  const QueryKeyValue qkv = project(w, x, pass);
  const Tensor seen = see(qkv).view({x.size(0), pass.config.heads * pass.config.head_dim});
  const auto [sum, normed] =
      add_rms_norm(linear(seen, w.output, w.output_bias), x, w.post_norm, pass.config.norm_eps);
  const Tensor gate_up = linear(normed, w.gate_up, {}, norm_again(sum, w.post_norm, pass));
  const auto active_again = [gate_up = gate_up.detach()] { return swiglu(gate_up); };
  return sum + linear(swiglu(gate_up), w.down, {}, active_again);  // [T, D]
}

void check_batch(const Tensor& tokens, const Placement& placement) {
  if (tokens.dim() != 1 || placement.positions.sizes() != tokens.sizes()) {
    fail("a forward pass wants tokens and positions [T], not ", tokens.sizes(), " and ",
         placement.positions.sizes());
  }
}

}  // namespace

/// Rotary tables, made as far as a pass needs them; longer ones begin with the same bits.
struct Transformer::Tables {
  std::mutex mutex;
  RopeTable table;

  RopeTable upto(const ModelConfig& config, int64_t positions, at::ScalarType dtype, at::Device device) {
    const std::lock_guard lock(mutex);
    if (!table.cos.defined() || table.positions() < positions) {
      int64_t size = 512;
      while (size < positions) size *= 2;
      table = make_rope_table(config.rope, size, dtype, device);
    }
    return table;
  }
};

Placement place_forest(const std::vector<Segment>& segments, const Tensor& positions) {
  Placement placement{positions, 0, {}};
  std::vector<std::vector<kernels::attention::Span>> seen(segments.size());
  for (size_t i = 0; i < segments.size(); ++i) {
    const Segment& s = segments[i];
    if (s.parent >= static_cast<int64_t>(i) || s.begin < 0 || s.begin + s.length > positions.size(0)) {
      fail("segment ", i, " of a forest begins at ", s.begin, " with length ", s.length, " and parent ",
           s.parent, ": it must follow its parent and lie within ", positions.size(0), " tokens");
    }
    if (s.parent >= 0) seen[i] = seen[static_cast<size_t>(s.parent)];
    if (s.length > 0) seen[i].push_back({s.begin, s.length});
    if (s.length > 0) placement.runs.add(s.begin, s.length, s.position, seen[i]);
    placement.positions_end = std::max(placement.positions_end, s.position + s.length);
  }
  return placement;
}

Transformer::Transformer(ModelConfig config)
    : config_(std::move(config)), tables_(std::make_unique<Tables>()) {
  check_model_config(config_, "model config");
}

Transformer::Transformer(ModelConfig config, NamedTensors weights) : Transformer(std::move(config)) {
  weights_ = std::move(weights);
  build();
}

Transformer::~Transformer() = default;

void Transformer::build() {
  layers_ = dense_layers(config_, weights_);
  head_ = Matrix(weights_.at(config_.score_head ? "score.weight"
                             : config_.tied     ? "model.embed_tokens.weight"
                                                : "lm_head.weight"));
}

std::shared_ptr<Transformer> Transformer::frozen() const {
  const std::shared_ptr<Transformer> copy(new Transformer(config_));
  for (const char* name : {"model.embed_tokens.weight", "model.norm.weight", "score.weight"}) {
    if (weights_.contains(name)) copy->weights_[name] = weights_.at(name).detach().clone();
  }
  copy->layers_ = frozen_layers(*layers_, config_.layers);
  copy->head_ = config_.tied && !config_.score_head ? Matrix(copy->weights_.at("model.embed_tokens.weight"))
                                                    : head_.frozen();
  return copy;
}

void Transformer::train(bool trained) {
  for (auto& [name, weight] : weights_) weight.requires_grad_(trained);
  build();
}

Parameters Transformer::parameters() const {
  Parameters result;
  for (const WeightSpec& spec : weight_specs(config_)) {
    const Tensor& weight = weights_.at(spec.name);
    if (weight.requires_grad()) result.push_back({spec.name, weight});
  }
  return result;
}

int64_t Transformer::parameter_count() const {
  int64_t count = 0;
  for (const auto& [name, weight] : weights_) count += weight.numel();
  return count;
}

Tensor Transformer::run_layers(Tensor x, const Placement& placement, const Tensor* rows,
                               KeyValueCache* cache) const {
  const Pass pass{config_, std::make_shared<Placement>(placement),
                  tables_->upto(config_, placement.positions_end, dtype(), device())};
  const auto run = [this, pass, rows, cache](int64_t i, const Tensor& in) {
    const AttentionOptions options{.window = config_.window};
    const auto see = [&](const QueryKeyValue& qkv) {
      if (cache == nullptr) return attention(qkv.query, qkv.key, qkv.value, pass.placement->runs, options);
      Tensor& keys = cache->keys[static_cast<size_t>(i)];
      Tensor& values = cache->values[static_cast<size_t>(i)];
      keys.index_copy_(0, *rows, qkv.key);
      values.index_copy_(0, *rows, qkv.value);
      return attention(qkv.query, keys, values, pass.placement->runs, options);
    };
    return layer_forward(*layers_->acquire(i), in, pass, see);
  };
  for (int64_t i = 0; i < config_.layers; ++i) {
    if (!checkpointing_ || cache != nullptr) {
      x = run(i, x);
      continue;
    }
    const Body body = [run, i](const std::vector<Tensor>& in) { return std::vector<Tensor>{run(i, in[0])}; };
    x = checkpointed(body, {x}, layers_->acquire(i)->trained).front();
  }
  return rms_norm(x, weights_.at("model.norm.weight"), config_.norm_eps);  // [T, D]
}

Tensor Transformer::hidden(const Batch& batch) const {
  Placement placement = place_forest(batch.segments, batch.positions);
  check_batch(batch.tokens, placement);
  const int64_t count = batch.tokens.size(0), more = rounded_rows(count, 16) - count;
  Tensor tokens = batch.tokens;
  if (device().is_cpu() && more > 0) {  // one text more that nobody asked for, seen by none of the others
    tokens = at::constant_pad_nd(tokens, {0, more});
    placement.positions = at::cat({placement.positions, at::arange(more, at::kLong)});
    placement.positions_end = std::max(placement.positions_end, more);
    placement.runs.add(count, more, 0, std::vector<kernels::attention::Span>{{count, more}});
  }
  const Tensor x = embed(weights_.at("model.embed_tokens.weight"), tokens);
  return run_layers(x, placement, nullptr, nullptr).narrow(0, 0, count);
}

Tensor Transformer::decode(const Tensor& tokens, const Placement& placement, const Tensor& rows,
                           KeyValueCache& cache) const {
  const at::NoGradGuard no_grad;
  check_batch(tokens, placement);
  return run_layers(embed(weights_.at("model.embed_tokens.weight"), tokens), placement, &rows, &cache);
}

KeyValueCache Transformer::make_cache(int64_t rows) const {
  KeyValueCache cache;
  for (int64_t i = 0; i < config_.layers; ++i) {
    for (auto* side : {&cache.keys, &cache.values}) {
      side->push_back(
          at::empty({rows, config_.kv_heads, config_.head_dim}, at::TensorOptions(device()).dtype(dtype())));
    }
  }
  return cache;
}

}  // namespace prefer
