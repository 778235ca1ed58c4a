// config.json and generation_config.json to ModelConfig, and what both must hold.
#include "prefer/model/config.hpp"

#include "src/model/family.hpp"

#include <algorithm>
#include <cmath>

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

const Family& family_of(const Json& json) {
  const Json& type = json.at("model_type");
  if (const Family* family = find_family(type.as_string())) return *family;
  type.fail_here("model_type ", quote(type.as_string()), " is not implemented; implemented are ",
                 family_names());
}

bool same_value(const Json& a, const Json& b) {
  return a.is_number() && b.is_number() ? a.as_number() == b.as_number() : a == b;
}

// Keys that change the maths, in transformers or in code that comes with a model, and the one value that
// doesn't; null: none.
void refuse_what_is_not_implemented(const Json& json) {
  static const Json::Object neutral = {{"mlp_bias", false},
                                       {"attention_dropout", 0},
                                       {"is_causal", true},
                                       {"partial_rotary_factor", 1},
                                       {"rope_interleaved", false},
                                       {"attn_logit_softcapping", {}},
                                       {"final_logit_softcapping", {}},
                                       {"logit_scale", 1},
                                       {"logits_scaling", 1},
                                       {"embedding_multiplier", 1},
                                       {"residual_multiplier", 1},
                                       {"attention_multiplier", {}},
                                       {"query_pre_attn_scalar", {}},
                                       {"use_qk_norm", false},
                                       {"num_experts", 0},
                                       {"num_local_experts", 0},
                                       {"quantization_config", {}}};
  for (const auto& [key, allowed] : neutral) {
    const Json* value = present(json, key.c_str());
    if (value == nullptr || same_value(*value, allowed)) continue;
    value->fail_here(key, " = ", dump(*value), " is not implemented",
                     allowed.is_null() ? "" : "; implemented is " + dump(allowed));
  }
  const Json* act = present(json, "hidden_act");
  if (act != nullptr && act->as_string() != "silu" && act->as_string() != "swish")
    act->fail_here("hidden_act = ", dump(*act), " is not implemented; implemented is \"silu\"");
}

// Whether texts are scored instead of continued. The number of labels stands in id2label where it isn't 2.
bool reads_scores(const Json& json) {
  const Json* architectures = present(json, "architectures");
  if (architectures == nullptr) return false;
  const auto scores = [](const Json& name) { return name.as_string().ends_with(kScores); };
  if (std::ranges::none_of(architectures->as_array(), scores)) return false;
  const Json* names = present(json, "id2label");
  const int64_t labels =
      integer(json, "num_labels", names != nullptr ? static_cast<int64_t>(names->as_object().size()) : 2);
  if (labels != 1)
    architectures->fail_here("a model that gives a text ", labels,
                             " labels is not implemented; implemented is 1, a score");
  return true;
}

// rope_scaling of transformers 4 goes before rope_parameters of transformers 5, as it does there.
const Json* rope_of(const Json& json) {
  for (const char* key : {"rope_scaling", "rope_parameters"}) {
    if (const Json* rope = present(json, key); rope != nullptr && !rope->as_object().empty()) return rope;
  }
  return nullptr;
}

// Parameters that a file without a type may hold: passed over they would change the maths in silence.
void refuse_scaling(const Json& rope) {
  for (const char* key : {"factor", "attention_factor", "mscale", "mscale_all_dim", "beta_fast", "beta_slow",
                          "short_factor", "long_factor", "low_freq_factor", "high_freq_factor"}) {
    const Json* value = present(rope, key);
    if (value == nullptr || same_value(*value, 1)) continue;
    value->fail_here(key, " = ", dump(*value),
                     " without a rope_type is not implemented; implemented are default and llama3");
  }
}

void read_rope(const Json& json, ModelConfig& config) {
  kernels::rope::Frequencies& rope = config.rope;
  rope.dim = config.head_dim;
  rope.theta = number(json, "rope_theta", 10000);
  const Json* given = rope_of(json);
  if (given == nullptr) return;
  for (const auto& [key, value] : given->as_object()) {
    if (value.is_object()) value.fail_here("rope parameters of ", key, " alone are not implemented");
  }
  rope.theta = number(*given, "rope_theta", rope.theta);
  if (const Json* part = present(*given, "partial_rotary_factor"); part && part->as_number() != 1)
    part->fail_here("partial_rotary_factor = ", dump(*part), " is not implemented; implemented is 1");
  const Json* type = present(*given, "rope_type");
  if (type == nullptr) type = present(*given, "type");
  if (type == nullptr) return refuse_scaling(*given);
  if (type->as_string() == "default") return;  // as transformers: it reads no other parameter
  if (type->as_string() != "llama3") {
    type->fail_here("rope_type ", quote(type->as_string()),
                    " is not implemented; implemented are default and llama3");
  }
  rope.llama3 = true;
  rope.factor = given->at("factor").as_number();
  rope.low_freq_factor = given->at("low_freq_factor").as_number();
  rope.high_freq_factor = given->at("high_freq_factor").as_number();
  const char* original = "original_max_position_embeddings";  // beside the rope parameters it goes first
  rope.original_context =
      number(json, original, number(*given, original, static_cast<double>(config.context)));
}

// How many of layer_types have a window.
int64_t count_sliding(const Json& types, int64_t layers) {
  if (static_cast<int64_t>(types.size()) != layers)
    types.fail_here("layer_types names ", types.size(), " layers, and num_hidden_layers = ", layers);
  int64_t count = 0;
  for (const Json& type : types.as_array()) {
    const std::string& name = type.as_string();
    if (name == "sliding_attention") ++count;
    if (name == "sliding_attention" || name == "full_attention") continue;
    type.fail_here("a layer of ", quote(name),
                   " is not implemented; implemented are full_attention and sliding_attention");
  }
  return count;
}

// The window of those layers that have one; 0: none has.
int64_t width_of_window(const Json& json, const Family& family) {
  if (family.window == Window::never) return 0;
  if (family.window == Window::where_used && !truth(json, "use_sliding_window", false)) return 0;
  const Json* given = json.find("sliding_window");
  if (given == nullptr) return 4096;
  if (given->is_null()) return 0;
  if (given->as_integer() < 1)
    given->fail_here("sliding_window = ", dump(*given), " is not a number of tokens; null: no window");
  return given->as_integer();
}

// Tokens that a query sees in every layer, 0: all before it; a window in some layers alone is refused.
int64_t window_of(const Json& json, const Family& family, int64_t layers) {
  const int64_t width = width_of_window(json, family);
  const Json* types = present(json, "layer_types");
  int64_t with = layers;
  if (family.window == Window::where_used) {
    const int64_t without = integer(json, "max_window_layers", 28);
    if (without < 0 || layers < 0)
      json.fail_here("max_window_layers = ", without, " of ", layers, " layers; neither may be below 0");
    with -= without;
  }
  with = types != nullptr ? count_sliding(*types, layers) : std::clamp<int64_t>(with, 0, layers);
  if (types != nullptr && with > 0 && width == 0)
    types->fail_here("layer_types names layers with a sliding window, and no other key gives them one");
  if (width == 0 || with == layers) return width;
  if (with == 0 && family.window == Window::where_used) return 0;
  (types != nullptr ? *types : json.at("use_sliding_window"))
      .fail_here("a sliding window in ", with, " of ", layers,
                 " layers is not implemented; implemented is one in all or in none");
}

void read_sizes(const Json& json, const Family& family, ModelConfig& config) {
  config.vocab_size = json.at("vocab_size").as_integer();
  config.hidden_size = json.at("hidden_size").as_integer();
  config.intermediate_size = json.at("intermediate_size").as_integer();
  config.layers = json.at("num_hidden_layers").as_integer();
  config.heads = json.at("num_attention_heads").as_integer();
  const bool kv_by_default = !json.contains("num_key_value_heads") && family.kv_heads > 0;
  config.kv_heads = kv_by_default ? family.kv_heads : integer(json, "num_key_value_heads", config.heads);
  const bool dim_by_default = !json.contains("head_dim") && family.head_dim > 0;
  const int64_t even = config.heads > 0 ? config.hidden_size / config.heads : 0;
  if (config.heads > 0 && even * config.heads != config.hidden_size && !present(json, "head_dim") &&
      !dim_by_default)
    json.at("num_attention_heads")
        .fail_here("num_attention_heads = ", config.heads,
                   " do not divide hidden_size = ", config.hidden_size, ", and there is no head_dim");
  config.head_dim = dim_by_default ? family.head_dim : integer(json, "head_dim", even);
  config.context = integer(json, "max_position_embeddings", family.context);
  config.norm_eps = number(json, "rms_norm_eps", 1e-6);
  config.initializer_range = number(json, "initializer_range", 0.02);
}

}  // namespace

ModelConfig read_model_config(const Json& json) {
  ModelConfig config;
  const Family& family = family_of(json);
  config.model_type = family.model_type;
  refuse_what_is_not_implemented(json);
  read_sizes(json, family, config);
  config.qkv_bias = family.bias == Bias::as_given ? truth(json, "attention_bias", false)
                                                  : family.bias == Bias::query_key_value;
  config.output_bias = config.qkv_bias && family.bias == Bias::as_given;
  config.query_key_norm = family.query_key_norm;
  config.tied = truth(json, "tie_word_embeddings", false);
  config.score_head = reads_scores(json);
  read_rope(json, config);
  config.window = window_of(json, family, config.layers);
  config.dtype = text(json, "dtype", text(json, "torch_dtype", "float32").c_str());
  if (!json.contains("bos_token_id")) config.bos = family.bos;
  if (!json.contains("eos_token_id") && family.eos) config.eos = {*family.eos};
  read_tokens(json, config);
  check_model_config(config, json.place());
  return config;
}

void read_generation_config(const Json& generation, ModelConfig& config) {
  read_tokens(generation, config);
  config.generation = Json::object();
  for (const auto& [key, value] : generation.as_object())
    if (key != "bos_token_id" && key != "eos_token_id" && key != "pad_token_id")
      config.generation.set(key, value);
}

void check_model_config(const ModelConfig& config, const std::string& where) {
  const auto positive = [&](const char* name, int64_t value, int64_t most = int64_t{1} << 31) {
    if (value < 1 || value > most) fail(where, ": ", name, " = ", value, " is not a size from 1 to ", most);
  };
  const auto finite = [&](const char* name, double value, bool may_be_zero = false) {
    if (!std::isfinite(value) || value < 0 || (value == 0 && !may_be_zero))
      fail(where, ": ", name, " = ", value, " is not a positive number");
  };
  positive("vocab_size", config.vocab_size);
  positive("hidden_size", config.hidden_size);
  positive("intermediate_size", config.intermediate_size);
  positive("num_hidden_layers", config.layers, 4096);
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
  if (config.window < 0) fail(where, ": sliding_window = ", config.window, " is negative");
  finite("rms_norm_eps", config.norm_eps, true);
  finite("rope_theta", config.rope.theta);
  if (config.rope.llama3) {
    finite("factor", config.rope.factor);
    finite("low_freq_factor", config.rope.low_freq_factor);
    finite("original_max_position_embeddings", config.rope.original_context);
    if (!(config.rope.high_freq_factor > config.rope.low_freq_factor))
      fail(where, ": high_freq_factor = ", config.rope.high_freq_factor,
           " is not above low_freq_factor = ", config.rope.low_freq_factor);
  }
}

void check_family(const ModelConfig& config, const std::string& where) {
  const Family* family = find_family(config.model_type);
  if (family == nullptr) fail(where, ": model_type ", config.model_type, " is not implemented");
  const auto refuse = [&](bool differs, const char* what) {
    if (differs) fail(where, ": a ", config.model_type, " model ", what, " has no config.json");
  };
  const bool as_given = family->bias == Bias::as_given, always = family->bias == Bias::query_key_value;
  refuse(config.qkv_bias && family->bias == Bias::never, "with biases");
  refuse(!config.qkv_bias && always, "without biases of queries, keys and values");
  refuse(config.output_bias && !as_given, "with a bias of attention's output");
  refuse(as_given && config.qkv_bias != config.output_bias, "with some of attention's biases alone");
  refuse(config.query_key_norm && !family->query_key_norm, "with norms of queries and keys");
  refuse(!config.query_key_norm && family->query_key_norm, "without norms of queries and keys");
  refuse(config.window > 0 && family->window == Window::never, "with a sliding window");
}

void check_token(int64_t largest, const std::string& path, const ModelConfig& model,
                 const std::string& name) {
  if (largest >= model.vocab_size)
    fail(path, ": has token ", largest, ", and the vocabulary of ", name, " is 0..", model.vocab_size - 1,
         "; its tokenizer belongs to another model");
}

}  // namespace prefer
