// Models from Hugging Face folders and GGUF files.
#include "prefer/model/load.hpp"

#include "prefer/core/crc32c.hpp"
#include "prefer/core/error.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/core/lfs.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/core/sha256.hpp"
#include "prefer/text/model_path.hpp"
#include "src/model/gguf_names.hpp"
#include "src/model/in_parallel.hpp"

#include <algorithm>
#include <cstring>
#include <set>

namespace prefer {
namespace {

Json read_json(Fs& fs, const std::string& path) {
  const JsonLimits limits = JsonLimits::model_file();
  return parse_json(read_model_file(fs, path, limits.max_bytes), path, limits);
}

ModelConfig folder_config(Fs& fs, const std::string& folder) {
  const auto status = fs.status(folder);
  if (!status) no_such_model(fs, folder);
  if (status->kind != FileKind::directory) refuse_a_file(fs, folder);
  refuse_a_runs_folder(fs, folder);
  if (fs.exists(join_path(folder, "adapter_config.json"))) {
    fail(
        folder,
        ": holds an adapter (adapter_config.json), which would not be applied; merge it into its model first "
        "(PEFT: merge_and_unload)");
  }
  if (!fs.exists(join_path(folder, "config.json"))) {
    fail(folder,
         ": a model is a folder with config.json and safetensors, or a .gguf file; there is no config.json "
         "here");
  }
  ModelConfig config = read_model_config(read_json(fs, join_path(folder, "config.json")));
  const std::string generation = join_path(folder, "generation_config.json");
  if (fs.exists(generation)) read_generation_config(read_json(fs, generation), config);
  return config;
}

constexpr int64_t kPiece = 1 << 18;  // elements that are worth a thread

std::optional<at::ScalarType> float_type(StoredType type) {
  switch (type) {
    case StoredType::kF32:
      return at::kFloat;
    case StoredType::kBf16:
      return at::kBFloat16;
    case StoredType::kF16:
      return at::kHalf;
    case StoredType::kF64:
      return at::kDouble;
    default:
      return {};
  }
}

using Found = SafetensorsFolder::Found;

void check_stored(const Found& found, const std::vector<int64_t>& shape) {
  const StoredTensor& stored = *found.tensor;
  if (stored.shape == shape && float_type(stored.type)) return;
  fail(found.file->path(), ": ", stored.name, " is ", describe_type(stored.type, stored.shape), " at byte ",
       stored.offset, "; the config wants floats ", at::IntArrayRef(shape));
}

/// A tensor as `dtype`, by pieces that a core's cache holds: a second whole one would be memory touched for
/// nothing.
Tensor read_tensor(const Found& found, at::ScalarType dtype) {
  const StoredTensor& stored = *found.tensor;
  const at::ScalarType type = *float_type(stored.type);
  const Tensor tensor = at::empty(stored.shape, dtype), flat = tensor.view(-1);
  const int64_t most = type == dtype ? flat.numel() : std::min(kPiece, flat.numel());
  const Tensor buffer = type == dtype ? flat : at::empty(most, type);
  for (int64_t begin = 0; begin < flat.numel(); begin += most) {
    const Tensor piece = buffer.narrow(0, 0, std::min(most, flat.numel() - begin));
    found.file->read(stored, {static_cast<std::byte*>(piece.mutable_data_ptr()), piece.nbytes()},
                     static_cast<uint64_t>(begin) * piece.element_size());
    if (type != dtype) flat.narrow(0, begin, piece.numel()).copy_(piece);
  }
  return tensor;
}

// Names that some files carry and no forward pass needs.
bool is_derived(const std::string& name, const ModelConfig& config) {
  return name.ends_with(".rotary_emb.inv_freq") || (config.tied && name == "lm_head.weight");
}

// A tied head may be stored besides; transformers uses it where it differs.
void check_tied_head(const SafetensorsFolder& files, const std::string& folder, const ModelConfig& config) {
  const auto head = files.tensors().find("lm_head.weight");
  if (!config.tied || head == files.tensors().end()) return;
  const Found& embedding = files.tensors().at("model.embed_tokens.weight");
  check_stored(head->second, {config.vocab_size, config.hidden_size});
  const auto as_stored = [](const Found& found) {
    return read_tensor(found, *float_type(found.tensor->type));
  };
  if (!at::equal(as_stored(head->second), as_stored(embedding))) {
    fail(folder,
         ": lm_head.weight is not model.embed_tokens.weight, and config.json says "
         "tie_word_embeddings = true; false keeps both");
  }
}

NamedTensors folder_weights(Fs& fs, const std::string& folder, const ModelConfig& config,
                            at::ScalarType dtype, at::Device device) {
  const SafetensorsFolder files(fs, folder);
  NamedTensors weights;
  std::vector<std::pair<Found, Tensor*>> places;
  for (const WeightSpec& spec : weight_specs(config)) {
    const auto found = files.tensors().find(spec.name);
    if (found == files.tensors().end()) {
      fail(folder, ": ", spec.name, " ", at::IntArrayRef(spec.shape), " is missing from the safetensors");
    }
    check_stored(found->second, spec.shape);
    places.emplace_back(found->second, &weights[spec.name]);
  }
  for (const auto& [name, found] : files.tensors()) {
    if (!weights.contains(name) && !is_derived(name, config)) {
      fail(found.file->path(), ": ", name, " is not a weight of a ", config.model_type,
           " model with num_hidden_layers = ", config.layers);
    }
  }
  in_parallel(std::ssize(places), [&](int64_t i) {
    const auto& [found, weight] = places[static_cast<size_t>(i)];
    *weight = read_tensor(found, dtype).to(device);
  });
  check_tied_head(files, folder, config);
  return weights;
}

// Queries and keys lie in GGUF in the order of interleaved rotation: undone here.
Tensor unpermuted(const Tensor& weight, int64_t heads) {
  const int64_t half = weight.size(0) / heads / 2;
  return weight.view({heads, half, 2, -1}).transpose(1, 2).reshape(weight.sizes());
}

Tensor read_rows(const GgufFile& file, const GgufTensor& stored) {
  const Tensor weight = at::empty(stored.shape, at::kFloat);
  const int64_t width = stored.row_elements();
  auto* to = static_cast<float*>(weight.mutable_data_ptr());
  at::parallel_for(0, stored.rows(), std::max<int64_t>(1, kPiece / width), [&](int64_t begin, int64_t end) {
    file.read_rows(stored, {to + begin * width, static_cast<size_t>((end - begin) * width)}, begin);
  });
  return weight;
}

NamedTensors gguf_weights(const GgufFile& file, const ModelConfig& config, at::ScalarType dtype,
                          at::Device device) {
  NamedTensors weights;
  std::set<std::string> wanted;
  for (const WeightSpec& spec : weight_specs(config)) {
    const std::string name = gguf::tensor_name(spec.name);
    const GgufTensor& stored = file.at(name);
    if (stored.shape != spec.shape) {
      fail(file.path(), ": ", name, " is ", at::IntArrayRef(stored.shape), " at byte ", stored.offset,
           "; the metadata say ", at::IntArrayRef(spec.shape));
    }
    Tensor weight = read_rows(file, stored);
    if (gguf::rotation_is_interleaved(config)) {
      if (name.find("attn_q.") != std::string::npos) weight = unpermuted(weight, config.heads);
      if (name.find("attn_k.") != std::string::npos) weight = unpermuted(weight, config.kv_heads);
    }
    weights[spec.name] = weight.to(device, dtype);
    wanted.insert(name);
  }
  for (const GgufTensor& tensor : file.tensors()) {
    if (!wanted.contains(tensor.name) && tensor.name != "rope_freqs.weight") {
      fail(file.path(), ": ", tensor.name, " is not a weight of a ", config.model_type,
           " model with block_count = ", config.layers);
    }
  }
  return weights;
}

/// Tells a file from a changed one. Checksums of pieces, and a hash of those: hashing every byte would take
/// as long as all else before the first step.
std::string digest_of_pieces(Fs& fs, const std::string& path) {
  constexpr uint64_t kBytes = uint64_t{1} << 20;  // that one thread takes at a time
  const File file = File::open(fs, path);
  const uint64_t size = file.size();
  std::vector<uint32_t> checksums((size + kBytes - 1) / kBytes);
  at::parallel_for(0, static_cast<int64_t>(checksums.size()), 1, [&](int64_t begin, int64_t end) {
    std::vector<std::byte> bytes;
    for (auto i = static_cast<uint64_t>(begin); i < static_cast<uint64_t>(end); ++i) {
      bytes.resize(std::min(kBytes, size - i * kBytes));
      file.read(bytes, i * kBytes);
      checksums[i] = crc32c(bytes);
    }
  });
  Sha256 hash;
  hash.add(std::to_string(size));
  hash.add(std::as_bytes(std::span(checksums)));
  return hash.hex();
}

}  // namespace

std::string model_fingerprint(Fs& fs, const std::string& path) {
  if (is_gguf(fs, path)) return digest_of_pieces(fs, path);
  Sha256 hash;
  for (const std::string& name : fs.list(path)) {
    if (name != "config.json" && name != "generation_config.json" && !name.ends_with(".safetensors"))
      continue;
    hash.add(name);
    hash.add(digest_of_pieces(fs, join_path(path, name)));
  }
  return hash.hex();
}

namespace {

std::shared_ptr<Transformer> load_any(Fs& fs, const std::string& path, at::ScalarType dtype,
                                      at::Device device) {
  if (is_gguf(fs, path)) {
    const GgufFile file(fs, path);
    const ModelConfig config = gguf::read_config(file);
    check_family(config, path);
    return std::make_shared<Transformer>(config, gguf_weights(file, config, dtype, device));
  }
  const ModelConfig config = folder_config(fs, path);
  return std::make_shared<Transformer>(config, folder_weights(fs, path, config, dtype, device));
}

}  // namespace

bool is_reward_model(Fs& fs, const std::string& path) {
  return !is_gguf(fs, path) && folder_config(fs, path).score_head;
}

std::shared_ptr<Transformer> load_model(Fs& fs, const std::string& path, at::ScalarType dtype,
                                        at::Device device) {
  if (is_reward_model(fs, path))
    fail(path,
         ": is a reward model, which scores texts; a language model, which continues them, is asked for");
  return load_any(fs, path, dtype, device);
}

std::shared_ptr<RewardModel> load_reward_model(Fs& fs, const std::string& path, const NewHead& head,
                                               at::ScalarType dtype, at::Device device) {
  std::shared_ptr<Transformer> model = load_any(fs, path, dtype, device);
  if (!model->config().score_head) model = with_score_head(*model, head);
  return std::make_shared<RewardModel>(std::move(model));
}

at::ScalarType dtype_from_name(const std::string& name) {
  if (name == "float32" || name == "fp32") return at::kFloat;
  if (name == "bfloat16" || name == "bf16") return at::kBFloat16;
  if (name == "float64" || name == "fp64") return at::kDouble;
  fail("dtype ", name, " is not known; known are float32 (fp32), bfloat16 (bf16), float64 (fp64)");
}

std::string dtype_name(at::ScalarType type) {
  if (type == at::kBFloat16) return "bfloat16";
  return type == at::kDouble ? "float64" : "float32";
}

}  // namespace prefer
