// Writes, verifies and reads one checkpoint.
#include "prefer/train/checkpoint_folder.hpp"

#include "prefer/core/crc32c.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/core/sha256.hpp"

#include <array>
#include <cstdio>

namespace prefer {
namespace {

constexpr const char* kManifest = "manifest.json";
constexpr std::size_t kPiece = std::size_t{1} << 20;
constexpr std::uint64_t kLargestManifest = std::uint64_t{64} << 20;
constexpr std::array kFiles = {"weights.safetensors", "optimizer.safetensors", "state.safetensors"};
// A manifest is `{"sha256":"<of what follows>",` and what follows.
constexpr std::string_view kBefore = "{\"sha256\":\"";
constexpr std::string_view kAfter = "\",";

constexpr std::array<std::pair<at::ScalarType, StoredType>, 8> kTypes = {{{at::kFloat, StoredType::kF32},
                                                                          {at::kBFloat16, StoredType::kBf16},
                                                                          {at::kDouble, StoredType::kF64},
                                                                          {at::kLong, StoredType::kI64},
                                                                          {at::kInt, StoredType::kI32},
                                                                          {at::kByte, StoredType::kU8},
                                                                          {at::kBool, StoredType::kBool},
                                                                          {at::kHalf, StoredType::kF16}}};

StoredType stored_type(const std::string& name, at::ScalarType type) {
  for (const auto& [tensor, file] : kTypes) {
    if (tensor == type) return file;
  }
  fail("state ", name, " is ", c10::toString(type), ", which a checkpoint does not hold");
}

at::ScalarType tensor_type(const std::string& file, const StoredTensor& stored) {
  for (const auto& [tensor, type] : kTypes) {
    if (type == stored.type) return tensor;
  }
  fail(file, ": ", stored.name, " is ", type_name(stored.type), ", which a checkpoint does not hold");
}

std::string file_of(const std::string& name) {
  if (name.starts_with("weights.")) return kFiles[0];
  return name.starts_with("optimizer.") ? kFiles[1] : kFiles[2];
}

std::string hex(std::uint32_t value) {
  char text[9];
  std::snprintf(text, sizeof text, "%08x", value);
  return text;
}

/// The tensor as the writer wants it; its CRC goes to `crcs` when it is written.
TensorToStore to_store(const std::string& name, const Tensor& tensor,
                       std::map<std::string, std::string>& crcs) {
  const auto produce = [name, tensor, &crcs](const TensorToStore::Sink& sink) {
    const Tensor bytes = tensor.detach().contiguous().cpu();
    const std::span all(static_cast<const std::byte*>(bytes.const_data_ptr()), bytes.nbytes());
    crcs[name] = hex(crc32c(all));
    sink(all);
  };
  return {name, stored_type(name, tensor.scalar_type()), tensor.sizes().vec(), produce};
}

void write_manifest(Fs& fs, const std::string& folder, const Json& manifest) {
  const std::string rest = dump(manifest).substr(1) + "\n";
  File file = File::create(fs, join_path(folder, kManifest));
  file.write(std::string(kBefore) + sha256(rest) + std::string(kAfter) + rest);
  file.sync();
  file.close();
}

Json read_manifest(Fs& fs, const std::string& path) {
  const std::string text = read_file(fs, path, kLargestManifest);
  constexpr std::size_t digits = 64, begin = kBefore.size() + digits + kAfter.size();
  const std::string_view view = text;
  if (!view.starts_with(kBefore) || view.size() <= begin ||
      view.substr(kBefore.size() + digits, kAfter.size()) != kAfter) {
    fail(path, ": does not begin as a manifest does, at byte 0");
  }
  if (sha256(view.substr(begin)) != view.substr(kBefore.size(), digits)) {
    fail(path, ": bytes ", begin, " to ", view.size(), " do not have the SHA-256 at byte ", kBefore.size());
  }
  return parse_json(text, path);
}

/// Where a file whose hash is wrong differs: the first tensor with another CRC, or its header.
std::string place_of_damage(Fs& fs, const std::string& path, const Json& crcs) {
  try {
    const SafetensorsFile file(fs, path);
    for (const StoredTensor& stored : file.tensors()) {
      std::vector<std::byte> bytes(stored.bytes);
      file.read(stored, bytes);
      const Json* crc = crcs.find(stored.name);
      if (!crc) break;  // the name is damaged
      if (crc->as_string() == hex(crc32c(bytes))) continue;
      return "bytes " + std::to_string(stored.offset) + " to " +
             std::to_string(stored.offset + stored.bytes) + " (" + stored.name + ")";
    }
  } catch (const Error&) {  // a header that cannot be read
  }
  return "the header, from byte 0,";
}

void check_file(Fs& fs, const std::string& folder, const Json& entry, const Json& crcs) {
  const std::string path = join_path(folder, entry.at("name").as_string());
  const File file = File::open(fs, path);
  const std::uint64_t size = file.size();
  if (size != static_cast<std::uint64_t>(entry.at("bytes").as_integer())) {
    fail(path, ": ends at byte ", size, ", and its manifest says ", entry.at("bytes").as_integer());
  }
  Sha256 hash;
  std::vector<std::byte> piece(std::min<std::uint64_t>(size, kPiece));
  for (std::uint64_t offset = 0; offset < size; offset += piece.size()) {
    const std::span part = std::span(piece).first(std::min<std::uint64_t>(piece.size(), size - offset));
    file.read(part, offset);
    hash.add(part);
  }
  if (hash.hex() == entry.at("sha256").as_string()) return;
  fail(path, ": ", place_of_damage(fs, path, crcs), " is not what its manifest says (SHA-256)");
}

}  // namespace

void write_checkpoint_folder(Fs& fs, const std::string& folder, Json about, const NamedTensors& tensors) {
  fs.make_directory(folder);
  std::map<std::string, std::vector<TensorToStore>> contents;
  std::map<std::string, std::string> crcs;
  for (const auto& [name, tensor] : tensors) contents[file_of(name)].push_back(to_store(name, tensor, crcs));
  Json files = Json::array();
  for (const char* name : kFiles) {
    const WrittenFile written = write_safetensors(fs, join_path(folder, name), std::move(contents[name]));
    Json entry = Json::object();
    entry.set("name", name).set("bytes", written.size).set("sha256", written.sha256);
    files.push(entry);
  }
  Json all_crcs = Json::object();
  for (const auto& [name, crc] : crcs) all_crcs.set(name, crc);
  about.set("files", files).set("tensors", all_crcs);
  write_manifest(fs, folder, about);
  fs.sync_directory(folder);
}

Json checked_manifest(Fs& fs, const std::string& folder) {
  Json manifest = read_manifest(fs, join_path(folder, kManifest));
  for (const Json& entry : manifest.at("files").as_array())
    check_file(fs, folder, entry, manifest.at("tensors"));
  return manifest;
}

std::vector<std::string> unlisted_files(Fs& fs, const std::string& folder, const Json& manifest) {
  std::vector<std::string> names = fs.list(folder);
  std::erase(names, kManifest);
  for (const Json& entry : manifest.at("files").as_array()) std::erase(names, entry.at("name").as_string());
  return names;
}

NamedTensors read_checkpoint_folder(Fs& fs, const std::string& folder) {
  NamedTensors result;
  for (const char* name : kFiles) {
    const SafetensorsFile file(fs, join_path(folder, name));
    for (const StoredTensor& stored : file.tensors()) {
      Tensor tensor = at::empty(stored.shape, tensor_type(file.path(), stored));
      file.read(stored, {static_cast<std::byte*>(tensor.mutable_data_ptr()), stored.bytes});
      result[stored.name] = tensor;
    }
  }
  return result;
}

}  // namespace prefer
