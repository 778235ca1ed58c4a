// A model from files and into files: Hugging Face folders in and out, GGUF in.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/model/reward_model.hpp"

#include <map>
#include <memory>
#include <string>

namespace prefer {

/// Reads a Hugging Face folder (config.json, model.safetensors or its shards, generation_config.json where
/// there is one) or a .gguf file, whose weights are dequantised. `dtype` is what the weights become. Nothing
/// is trained yet (Transformer::train). Throws Error, one line naming file and tensor, for whatever is
/// missing, too many, of another shape, or not implemented; for a reward model too.
std::shared_ptr<Transformer> load_model(Fs& fs, const std::string& path, at::ScalarType dtype,
                                        at::Device device = at::kCPU);

/// Whether `path` is a Hugging Face folder of a ...ForSequenceClassification with one label. Throws as
/// load_model does for a config that cannot be read.
bool is_reward_model(Fs& fs, const std::string& path);

/// Reads a reward model with its head, or a language model, whose head is left out for a new one
/// (with_score_head). Throws as load_model does.
std::shared_ptr<RewardModel> load_reward_model(Fs& fs, const std::string& path, const NewHead& head,
                                               at::ScalarType dtype, at::Device device = at::kCPU);

/// What names a model: the SHA-256 of the CRC-32Cs of the files that load_model reads, by 1 MiB, of their
/// sizes, and of their names where they are several. It tells a file that has changed; it is no proof against
/// one made to match.
std::string model_fingerprint(Fs& fs, const std::string& path);

/// Writes a Hugging Face folder, as transformers reads it: config.json,
/// generation_config.json, model.safetensors in the model's type, and `files` (name to bytes: the
/// tokenizer's). It appears under its name whole or not at all; an existing model of that name stands until
/// then. It is made as `folder`.tmp, which a killed process may leave and the next call removes.
/// Throws Error, before anything is written, for a model that lacks weights of its config: a frozen copy.
void save_model(Fs& fs, const std::string& folder, const Transformer& model,
                const std::map<std::string, std::string>& files);

/// "float32", "bfloat16", "float64" (and "fp32", "bf16") as a type; throws Error that lists them.
at::ScalarType dtype_from_name(const std::string& name);
std::string dtype_name(at::ScalarType type);

}  // namespace prefer
