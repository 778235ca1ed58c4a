// config.json and generation_config.json to and from ModelConfig.
#include "prefer/model/config.hpp"

#include <algorithm>
#include <array>

namespace prefer {
namespace {

const Json* present(const Json& json, const char* key) {
  const Json* value = json.find(key);
  return value != nullptr && !value->is_null() ? value : nullptr;
}

int64_t integer(const Json& json, const char* key, int64_t otherwise) {
  const Json* value = present(json, key);
  return value != nullptr ? value->as_integer() : otherwise;
}

double number(const Json& json, const char* key, double otherwise) {
  const Json* value = present(json, key);
  return value != nullptr ? value->as_number() : otherwise;
}

bool truth(const Json& json, const char* key, bool otherwise) {
  const Json* value = present(json, key);
  return value != nullptr ? value->as_bool() : otherwise;
}

std::string text(const Json& json, const char* key, const char* otherwise) {
  const Json* value = present(json, key);
  return value != nullptr ? value->as_string() : otherwise;
}

/// One id or a list of them.
std::vector<int64_t> ids(const Json& value) {
  if (!value.is_array()) return {value.as_integer()};
  std::vector<int64_t> result;
  for (const Json& item : value.as_array()) result.push_back(item.as_integer());
  return result;
}

void read_tokens(const Json& json, ModelConfig& config) {
  if (const Json* value = present(json, "bos_token_id")) config.bos = value->as_integer();
  if (const Json* value = present(json, "pad_token_id")) config.pad = value->as_integer();
  if (const Json* value = present(json, "eos_token_id")) config.eos = ids(*value);
}

std::string family(const Json& json) {
  const Json& type = json.at("model_type");
  constexpr std::array known = {"llama", "mistral", "qwen2", "qwen3"};
  if (std::ranges::find(known, type.as_string()) == known.end()) {
    type.fail_here("model_type ", quoted(type.as_string()),
                   " is not implemented; implemented are llama, mistral, qwen2, qwen3");
  }
  return type.as_string();
}

// Values that would change the maths.
void refuse_what_is_not_implemented(const Json& json) {
  const auto refuse = [&](const char* key, const auto& allowed) {
    const Json* value = present(json, key);
    if (value != nullptr && !allowed(*value))
      value->fail_here(key, " = ", dump(*value), " is not implemented");
  };
  refuse("hidden_act", [](const Json& v) { return v.as_string() == "silu" || v.as_string() == "swish"; });
  refuse("mlp_bias", [](const Json& v) { return !v.as_bool(); });
  refuse("partial_rotary_factor", [](const Json& v) { return v.as_number() == 1; });
  refuse("attn_logit_softcapping", [](const Json&) { return false; });
  refuse("final_logit_softcapping", [](const Json&) { return false; });
  refuse("num_local_experts", [](const Json&) { return false; });
  refuse("num_experts", [](const Json& v) { return v.as_integer() == 0; });
  refuse("quantization_config", [](const Json&) { return false; });
}

// `json` is rope_parameters, or rope_scaling of transformers 4.
void read_rope(const Json& json, kernels::rope::Frequencies& rope) {
  rope.theta = number(json, "rope_theta", rope.theta);
  if (const Json* partial = present(json, "partial_rotary_factor"); partial && partial->as_number() != 1) {
    partial->fail_here("partial_rotary_factor = ", dump(*partial), " is not implemented");
  }
  const Json* type = present(json, "rope_type");
  if (type == nullptr) type = present(json, "type");
  if (type == nullptr || type->as_string() == "default") return;
  if (type->as_string() != "llama3") {
    type->fail_here("rope_type ", quoted(type->as_string()),
                    " is not implemented; implemented are default and llama3");
  }
  rope.llama3 = true;
  rope.factor = json.at("factor").as_number();
  rope.low_freq_factor = json.at("low_freq_factor").as_number();
  rope.high_freq_factor = json.at("high_freq_factor").as_number();
  rope.original_context = json.at("original_max_position_embeddings").as_number();
}

// Tokens that a query sees in every layer; a window in some layers alone is refused.
int64_t window_of(const Json& json, const ModelConfig& config) {
  int64_t window = integer(json, "sliding_window", 0);
  if (config.model_type.starts_with("qwen")) {
    const bool used = truth(json, "use_sliding_window", false);
    if (!used || integer(json, "max_window_layers", 28) >= config.layers) window = 0;
  } else if (config.model_type == "llama") {
    window = 0;
  }
  if (window == 0) return 0;
  if (const Json* types = present(json, "layer_types")) {
    for (const Json& type : types->as_array()) {
      if (type.as_string() != "sliding_attention")
        type.fail_here("layers with and without a sliding window are not implemented");
    }
  } else if (config.model_type.starts_with("qwen") && integer(json, "max_window_layers", 28) > 0) {
    json.at("max_window_layers").fail_here("a sliding window in some layers only is not implemented");
  }
  return window;
}

void read_sizes(const Json& json, ModelConfig& config) {
  config.vocab_size = json.at("vocab_size").as_integer();
  config.hidden_size = json.at("hidden_size").as_integer();
  config.intermediate_size = json.at("intermediate_size").as_integer();
  config.layers = json.at("num_hidden_layers").as_integer();
  config.heads = json.at("num_attention_heads").as_integer();
  config.kv_heads = integer(json, "num_key_value_heads", config.model_type == "mistral" ? 8 : config.heads);
  const int64_t even = config.heads > 0 ? config.hidden_size / config.heads : 0;
  config.head_dim = integer(json, "head_dim", config.model_type == "qwen3" ? 128 : even);
  config.context = integer(json, "max_position_embeddings", 2048);
  config.norm_eps = number(json, "rms_norm_eps", 1e-6);
  config.initializer_range = number(json, "initializer_range", 0.02);
}

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

const char* architecture(const std::string& model_type) {
  if (model_type == "mistral") return "MistralForCausalLM";
  if (model_type == "qwen2") return "Qwen2ForCausalLM";
  return model_type == "qwen3" ? "Qwen3ForCausalLM" : "LlamaForCausalLM";
}

}  // namespace

ModelConfig read_model_config(const Json& json) {
  ModelConfig config;
  config.model_type = family(json);
  refuse_what_is_not_implemented(json);
  read_sizes(json, config);
  const bool bias = truth(json, "attention_bias", config.model_type == "qwen2");
  config.qkv_bias = bias;
  config.output_bias = bias && config.model_type != "qwen2";
  config.query_key_norm = config.model_type == "qwen3";
  config.tied = truth(json, "tie_word_embeddings", false);
  config.rope.dim = config.head_dim;
  config.rope.theta = number(json, "rope_theta", 10000);
  if (const Json* scaling = present(json, "rope_scaling")) read_rope(*scaling, config.rope);
  if (const Json* parameters = present(json, "rope_parameters")) read_rope(*parameters, config.rope);
  config.window = window_of(json, config);
  config.dtype = text(json, "dtype", text(json, "torch_dtype", "float32").c_str());
  read_tokens(json, config);
  check_model_config(config, json.place());
  return config;
}

Json write_model_config(const ModelConfig& config) {
  Json json = Json::object();
  json.set("architectures", Json::array({Json(architecture(config.model_type))}));
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
  json.set("attention_bias", config.qkv_bias);
  json.set("attention_dropout", 0.0);
  if (config.model_type == "llama") json.set("mlp_bias", false);
  if (config.model_type == "mistral")
    json.set("sliding_window", config.window > 0 ? Json(config.window) : Json());
  if (config.model_type.starts_with("qwen")) json.set("use_sliding_window", false);
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
  return json;
}

Json write_generation_config(const ModelConfig& config) {
  Json json = Json::object();
  write_tokens(config, json);
  return json;
}

void read_generation_config(const Json& generation, ModelConfig& config) { read_tokens(generation, config); }

void check_model_config(const ModelConfig& config, const std::string& where) {
  const auto positive = [&](const char* name, int64_t value) {
    if (value < 1 || value > int64_t{1} << 31) fail(where, ": ", name, " = ", value, " is not a size");
  };
  positive("vocab_size", config.vocab_size);
  positive("hidden_size", config.hidden_size);
  positive("intermediate_size", config.intermediate_size);
  positive("num_hidden_layers", config.layers);
  positive("num_attention_heads", config.heads);
  positive("num_key_value_heads", config.kv_heads);
  positive("head_dim", config.head_dim);
  positive("max_position_embeddings", config.context);
  if (config.heads % config.kv_heads != 0) {
    fail(where, ": num_attention_heads = ", config.heads,
         " is not a multiple of num_key_value_heads = ", config.kv_heads);
  }
  if (config.head_dim % 2 != 0)
    fail(where, ": head_dim = ", config.head_dim, " is odd, and rotary positions want pairs");
}

}  // namespace prefer
