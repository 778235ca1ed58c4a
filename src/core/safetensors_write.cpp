// Writes safetensors files in one pass, with their hash.
#include "prefer/core/bytes.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/core/sha256.hpp"

#include <algorithm>

namespace prefer {
namespace {

std::uint64_t bytes_of(const std::string& path, const TensorToStore& tensor) {
  std::optional<std::uint64_t> bits = type_bits(tensor.type);
  for (const std::int64_t n : tensor.shape)
    bits = bits && n >= 0 ? checked_mul(*bits, static_cast<std::uint64_t>(n)) : std::nullopt;
  if (!bits || *bits % 8 != 0)
    fail(path, ": tensor ", quote(tensor.name), ": ", describe_type(tensor.type, tensor.shape),
         " cannot be stored");
  return *bits / 8;
}

std::string header_of(const std::string& path, const std::vector<TensorToStore>& tensors,
                      const std::map<std::string, std::string>& metadata) {
  Json::Object header;
  if (!metadata.empty()) {
    Json::Object texts;
    for (const auto& [key, value] : metadata) texts.emplace_back(key, value);
    header.emplace_back("__metadata__", Json(std::move(texts)));
  }
  std::uint64_t begin = 0;
  for (const TensorToStore& tensor : tensors) {
    const std::uint64_t end = begin + bytes_of(path, tensor);
    header.emplace_back(tensor.name,
                        Json::object({{"dtype", type_name(tensor.type)},
                                      {"shape", Json::array({tensor.shape.begin(), tensor.shape.end()})},
                                      {"data_offsets", Json::array({begin, end})}}));
    begin = end;
  }
  std::string text = dump(Json(std::move(header)));
  text.resize((text.size() + 7) / 8 * 8, ' ');
  return text;
}

}  // namespace

TensorToStore stored(std::string name, StoredType type, std::vector<std::int64_t> shape,
                     std::span<const std::byte> bytes) {
  return {std::move(name), type, std::move(shape), [bytes](const TensorToStore::Sink& sink) { sink(bytes); }};
}

WrittenFile write_safetensors(Fs& fs, const std::string& path, std::vector<TensorToStore> tensors,
                              const std::map<std::string, std::string>& metadata) {
  std::ranges::sort(tensors, [](const TensorToStore& a, const TensorToStore& b) {
    return a.type != b.type ? a.type > b.type : a.name < b.name;
  });
  std::vector<std::string> names;
  for (const TensorToStore& tensor : tensors) names.push_back(tensor.name);
  std::ranges::sort(names);
  if (const auto twice = std::ranges::adjacent_find(names); twice != names.end())
    fail(path, ": tensor ", quote(*twice), " was given twice");

  const std::string header = header_of(path, tensors, metadata);
  const std::uint64_t header_bytes = header.size();
  File file = File::create(fs, path);
  Sha256 hash;
  WrittenFile written{0, ""};
  const auto put = [&](std::span<const std::byte> bytes) {
    file.write(bytes);
    hash.add(bytes);
    written.size += bytes.size();
  };
  put(std::as_bytes(std::span(&header_bytes, 1)));
  put(std::as_bytes(std::span(header)));
  for (const TensorToStore& tensor : tensors) {
    const std::uint64_t end = written.size + bytes_of(path, tensor);
    tensor.produce(put);
    if (written.size != end)
      fail(path, ": tensor ", quote(tensor.name), ": ended at byte ", written.size, " instead of ", end);
  }
  file.sync();
  file.close();
  written.sha256 = hash.hex();
  return written;
}

}  // namespace prefer
