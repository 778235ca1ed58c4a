// GGUF's names of tensors and of hyper-parameters.
#include "src/model/gguf_names.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <array>
#include <cmath>
#include <map>

namespace prefer::gguf {
namespace {

const std::map<std::string, std::string>& layer_names() {
  static const std::map<std::string, std::string> names = {
      {"input_layernorm", "attn_norm"},    {"self_attn.q_proj", "attn_q"},
      {"self_attn.k_proj", "attn_k"},      {"self_attn.v_proj", "attn_v"},
      {"self_attn.o_proj", "attn_output"}, {"self_attn.q_norm", "attn_q_norm"},
      {"self_attn.k_norm", "attn_k_norm"}, {"post_attention_layernorm", "ffn_norm"},
      {"mlp.gate_proj", "ffn_gate"},       {"mlp.up_proj", "ffn_up"},
      {"mlp.down_proj", "ffn_down"}};
  return names;
}

// Llama 3.1 and 3.2 differ in `factor` alone; the file holds what each frequency is divided by.
void read_rope_divisors(const GgufFile& file, kernels::rope::Frequencies& rope) {
  const GgufTensor* stored = file.find("rope_freqs.weight");
  if (stored == nullptr) return;
  if (stored->shape != std::vector<int64_t>{rope.dim / 2}) {
    fail(file.path(), ": rope_freqs.weight at byte ", stored->offset, " is not [", rope.dim / 2, "]");
  }
  std::vector<float> divisors(static_cast<size_t>(rope.dim / 2));
  file.read_rows(*stored, divisors);
  const auto plain = kernels::rope::inverse_frequencies(rope);
  for (const double factor : {8.0, 32.0}) {
    kernels::rope::Frequencies scaled = rope;
    scaled.llama3 = true;
    scaled.factor = factor;
    const auto wanted = kernels::rope::inverse_frequencies(scaled);
    bool same = true;
    for (size_t i = 0; i < plain.size(); ++i)
      same = same && std::abs(plain[i] / divisors[i] / wanted[i] - 1) < 1e-4;
    if (same) {
      rope = scaled;
      return;
    }
  }
  fail(file.path(), ": rope_freqs.weight at byte ", stored->offset,
       " is not the scaling of Llama 3.1 or 3.2, and no other is implemented");
}

void read_sizes(const GgufFile& file, const std::string& arch, ModelConfig& config) {
  const auto key = [&](const char* name) { return arch + "." + name; };
  config.hidden_size = file.integer(key("embedding_length"));
  config.intermediate_size = file.integer(key("feed_forward_length"));
  config.layers = file.integer(key("block_count"));
  config.heads = file.integer(key("attention.head_count"));
  config.kv_heads = file.integer(key("attention.head_count_kv"), config.heads);
  const int64_t even = config.heads > 0 ? config.hidden_size / config.heads : 0;
  config.head_dim = file.integer(key("attention.key_length"), even);
  config.context = file.integer(key("context_length"));
  config.norm_eps = file.number(key("attention.layer_norm_rms_epsilon"));
  config.window = file.integer(key("attention.sliding_window"), 0);
  config.rope.dim = config.head_dim;
  config.rope.theta = file.number(key("rope.freq_base"), 10000);
  const int64_t rotated = file.integer(key("rope.dimension_count"), config.head_dim);
  if (rotated != config.head_dim) {
    fail(file.path(), ": ", key("rope.dimension_count"), " = ", rotated,
         ", a part of a head, is not implemented");
  }
  if (file.integer(key("expert_count"), 0) != 0) fail(file.path(), ": experts are not implemented");
  const std::string scaling = file.text(key("rope.scaling.type"), "none");
  if (scaling != "none")
    fail(file.path(), ": ", key("rope.scaling.type"), " = ", scaling, " is not implemented");
  if (file.has(key("rope.scaling.type"))) return;
  // Where no type is given, a factor is that of linear scaling, as llama.cpp has it.
  for (const char* name : {"rope.scaling.factor", "rope.scale_linear"}) {
    const double factor = file.number(key(name), 1);
    if (factor != 0 && factor != 1)
      fail(file.path(), ": ", key(name), " = ", factor, " is linear scaling, which is not implemented");
  }
}

void read_tokens(const GgufFile& file, ModelConfig& config) {
  const auto id = [&](const char* name) -> std::optional<int64_t> {
    const std::string key = std::string("tokenizer.ggml.") + name;
    if (!file.has(key)) return {};
    return file.integer(key);
  };
  config.bos = id("bos_token_id");
  config.pad = id("padding_token_id");
  for (const char* name : {"eos_token_id", "eot_token_id"}) {
    if (const auto found = id(name);
        found && std::find(config.eos.begin(), config.eos.end(), *found) == config.eos.end()) {
      config.eos.push_back(*found);
    }
  }
}

}  // namespace

std::string tensor_name(const std::string& name) {
  if (name == "model.embed_tokens.weight") return "token_embd.weight";
  if (name == "model.norm.weight") return "output_norm.weight";
  if (name == "lm_head.weight") return "output.weight";
  const std::string prefix = "model.layers.";
  const size_t dot = name.find('.', prefix.size()), end = name.rfind('.');
  const std::string inner = name.substr(dot + 1, end - dot - 1);
  return "blk." + name.substr(prefix.size(), dot - prefix.size()) + "." + layer_names().at(inner) +
         name.substr(end);
}

ModelConfig read_config(const GgufFile& file) {
  const std::string arch = file.text("general.architecture");
  constexpr std::array known = {"llama", "qwen2", "qwen3"};
  if (std::find(known.begin(), known.end(), arch) == known.end()) {
    fail(file.path(), ": general.architecture = ", arch,
         " is not implemented; implemented are llama, qwen2, qwen3");
  }
  ModelConfig config;
  config.model_type = arch;
  read_sizes(file, arch, config);
  config.vocab_size = file.at("token_embd.weight").shape.front();
  check_model_config(config, file.path());
  config.tied = file.find("output.weight") == nullptr;
  config.qkv_bias = file.find("blk.0.attn_q.bias") != nullptr;
  config.output_bias = file.find("blk.0.attn_output.bias") != nullptr;
  config.query_key_norm = file.find("blk.0.attn_q_norm.weight") != nullptr;
  read_rope_divisors(file, config.rope);
  read_tokens(file, config);
  return config;
}

bool rotation_is_interleaved(const ModelConfig& config) { return config.model_type == "llama"; }

}  // namespace prefer::gguf
