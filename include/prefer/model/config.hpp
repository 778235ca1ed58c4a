// What a transformer of the Llama family is, as data: read from config.json or GGUF metadata, written as
// config.json.
#pragma once

#include "kernels/rope/rope.hpp"
#include "prefer/core/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

namespace prefer {

/// Sizes and options of a decoder with RMSNorm, rotary positions, grouped heads and SwiGLU. Names are Hugging
/// Face's where those say it best.
struct ModelConfig {
  std::string model_type =
      "llama";              ///< llama, mistral, qwen2 or qwen3: decides what is written, not what is computed
  int64_t vocab_size = 0;   // V
  int64_t hidden_size = 0;  // D
  int64_t intermediate_size = 0;  // I
  int64_t layers = 0;             // L
  int64_t heads = 0;              // H
  int64_t kv_heads = 0;           // K
  int64_t head_dim = 0;           // d
  int64_t context = 0;            ///< max_position_embeddings
  int64_t window = 0;             ///< sliding window in tokens; 0: none
  double norm_eps = 1e-6;
  bool qkv_bias = false;
  bool output_bias = false;
  bool query_key_norm = false;  ///< RMSNorm of every query and key head before the rotation (Qwen3)
  bool tied = false;            ///< the head is the embedding
  bool score_head = false;      ///< the head is score.weight [1, D]: a reward or a value model
  double initializer_range = 0.02;
  kernels::rope::Frequencies rope = {};
  std::string dtype = "float32";  ///< as stored: float32, bfloat16, float16 or float64
  std::optional<int64_t> bos = {};
  std::optional<int64_t> pad = {};
  std::vector<int64_t> eos = {};     ///< any of them ends a text
  Json generation = Json::object();  ///< what else generation_config.json says: kept, not read
};

/// Reads config.json of transformers 4 or 5. What changes the maths and isn't implemented is refused by name.
/// Throws Error with the place in the file.
ModelConfig read_model_config(const Json& config);

/// config.json for transformers 4 and 5, vLLM and llama.cpp's converter alike: both spellings of what was
/// renamed. Throws as check_family does.
Json write_model_config(const ModelConfig& config);

/// generation_config.json: the tokens that begin, end and pad, and what config.generation holds.
Json write_generation_config(const ModelConfig& config);

/// Takes eos, bos and pad from a generation_config.json, which wins where both name them, and keeps the rest.
void read_generation_config(const Json& generation, ModelConfig& config);

/// Throws Error unless the sizes fit each other.
void check_model_config(const ModelConfig& config, const std::string& where);

/// Throws Error unless a config.json of its model_type can say what the model computes.
void check_family(const ModelConfig& config, const std::string& where);

/// Throws Error where `model`, which came from `name`, has no embedding for token `largest` of `path`.
void check_token(int64_t largest, const std::string& path, const ModelConfig& model, const std::string& name);

}  // namespace prefer
