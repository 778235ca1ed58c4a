// ModelConfig to config.json and generation_config.json.
#include "prefer/model/config.hpp"
#include "src/model/family.hpp"

namespace prefer {
namespace {

Json rope_scaling(const kernels::rope::Frequencies& rope) {
  Json json = Json::object();
  json.set("rope_type", rope.llama3 ? "llama3" : "default");
  if (rope.llama3) {
    json.set("factor", rope.factor);
    json.set("low_freq_factor", rope.low_freq_factor);
    json.set("high_freq_factor", rope.high_freq_factor);
    json.set("original_max_position_embeddings", static_cast<int64_t>(rope.original_context));
  }
  return json;
}

void write_tokens(const ModelConfig& config, Json& json) {
  json.set("bos_token_id", config.bos ? Json(*config.bos) : Json());
  Json eos;
  if (config.eos.size() == 1) eos = Json(config.eos.front());
  if (config.eos.size() > 1) {
    for (const int64_t id : config.eos) eos.push(id);
  }
  json.set("eos_token_id", std::move(eos));
  json.set("pad_token_id", config.pad ? Json(*config.pad) : Json());
}

void write_window(const Family& family, int64_t window, Json& json) {
  if (family.window == Window::never) return;
  json.set("sliding_window", window > 0 ? Json(window) : Json());
  if (family.window != Window::where_used) return;
  json.set("use_sliding_window", window > 0);
  if (window > 0) json.set("max_window_layers", 0);
}

}  // namespace

Json write_model_config(const ModelConfig& config) {
  check_family(config, "model config");
  const Family& family = *find_family(config.model_type);
  Json json = Json::object();
  const std::string architecture = family.architecture;
  json.set("architectures",
           Json::array({Json(architecture + (config.score_head ? kScores : "ForCausalLM"))}));
  json.set("model_type", config.model_type);
  json.set("vocab_size", config.vocab_size);
  json.set("hidden_size", config.hidden_size);
  json.set("intermediate_size", config.intermediate_size);
  json.set("num_hidden_layers", config.layers);
  json.set("num_attention_heads", config.heads);
  json.set("num_key_value_heads", config.kv_heads);
  json.set("head_dim", config.head_dim);
  json.set("hidden_act", "silu");
  json.set("max_position_embeddings", config.context);
  json.set("rms_norm_eps", config.norm_eps);
  json.set("initializer_range", config.initializer_range);
  if (family.bias == Bias::as_given) json.set("attention_bias", config.qkv_bias);
  json.set("attention_dropout", 0.0);
  if (config.model_type == "llama") json.set("mlp_bias", false);
  write_window(family, config.window, json);
  json.set("rope_theta", config.rope.theta);
  Json scaling = rope_scaling(config.rope);
  json.set("rope_scaling", config.rope.llama3 ? scaling : Json());
  scaling.set("rope_theta", config.rope.theta);
  json.set("rope_parameters", std::move(scaling));
  json.set("tie_word_embeddings", config.tied);
  json.set("use_cache", true);
  json.set("torch_dtype", config.dtype);
  json.set("dtype", config.dtype);
  write_tokens(config, json);
  if (config.score_head) {
    json.set("num_labels", 1);
    json.set("id2label", Json::object({{"0", "LABEL_0"}}));
    json.set("label2id", Json::object({{"LABEL_0", 0}}));
  }
  return json;
}

Json write_generation_config(const ModelConfig& config) {
  Json json = Json::object();
  write_tokens(config, json);
  for (const auto& [key, value] : config.generation.as_object()) json.set(key, value);
  return json;
}

}  // namespace prefer
