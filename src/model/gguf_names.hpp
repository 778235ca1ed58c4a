// What GGUF calls the things that config.json and safetensors name otherwise.
#pragma once

#include "prefer/core/gguf.hpp"
#include "prefer/model/config.hpp"

#include <string>

namespace prefer::gguf {

/// "blk.3.attn_q.weight" for "model.layers.3.self_attn.q_proj.weight".
std::string tensor_name(const std::string& hugging_face);

/// A ModelConfig from the metadata (and the tensors there are). Architectures llama, qwen2 and qwen3; what
/// changes the maths and isn't implemented is refused by name.
ModelConfig read_config(const GgufFile& file);

/// Whether the file's queries and keys lie in the order of interleaved rotation: llama's do.
bool rotation_is_interleaved(const ModelConfig& config);

}  // namespace prefer::gguf
