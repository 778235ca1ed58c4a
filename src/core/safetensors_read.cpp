// Reads safetensors files and folders of them, trusting nothing.
#include "prefer/core/bytes.hpp"
#include "prefer/core/lfs.hpp"
#include "prefer/core/safetensors.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace prefer {
namespace {

constexpr std::uint64_t kMaxHeader = std::uint64_t{64} << 20;
constexpr std::size_t kMaxTensors = 1'000'000, kMaxName = 512, kMaxRank = 8;

struct TypeRow {
  std::string_view name;
  std::uint64_t bits;
};
constexpr std::array<TypeRow, 22> kTypes = {
    {{"BOOL", 8},    {"F4", 4},      {"F6_E2M3", 6}, {"F6_E3M2", 6},     {"U8", 8},          {"I8", 8},
     {"F8_E5M2", 8}, {"F8_E4M3", 8}, {"F8_E8M0", 8}, {"F8_E4M3FNUZ", 8}, {"F8_E5M2FNUZ", 8}, {"I16", 16},
     {"U16", 16},    {"F16", 16},    {"BF16", 16},   {"I32", 32},        {"U32", 32},        {"F32", 32},
     {"C64", 64},    {"F64", 64},    {"I64", 64},    {"U64", 64}}};

/// Reads one entry of the header; errors name file, tensor and the byte of the file where the entry's part
/// stands.
class Entry {
 public:
  Entry(const std::string& path, const std::string& name, const Json& json)
      : path_(path), name_(name), json_(json) {}

  StoredTensor read(std::uint64_t data_begin) const {
    if (name_.size() > kMaxName) refuse(json_, "a name of ", name_.size(), " bytes; at most ", kMaxName);
    for (const auto& [key, value] : object(json_))
      if (key != "dtype" && key != "shape" && key != "data_offsets")
        refuse(value, "unknown member ", quote(key));
    StoredTensor tensor{name_, type(), shape(), 0, 0};
    const Json& offsets = member("data_offsets");
    if (!offsets.is_array() || offsets.size() != 2) refuse(offsets, "data_offsets are two integers");
    const std::uint64_t begin = size(offsets.at(std::size_t{0})), end = size(offsets.at(1));
    const std::uint64_t bytes = bytes_of(tensor);
    if (end < begin || end - begin != bytes)
      refuse(offsets, "data_offsets [", begin, ", ", end, "] do not hold the ", bytes, " bytes of ",
             describe_type(tensor.type, tensor.shape));
    if (__builtin_add_overflow(data_begin, begin, &tensor.offset))
      refuse(offsets, "data_offsets beyond 64 bits");
    tensor.bytes = bytes;
    return tensor;
  }

 private:
  template <class... Parts>
  [[noreturn]] void refuse(const Json& at, const Parts&... parts) const {
    fail(path_, ": tensor ", quote(name_), ": byte ", at.offset() + 8, ": ", parts...);
  }

  const Json::Object& object(const Json& json) const {
    if (!json.is_object()) refuse(json, "expected an object, found ", json.type_name());
    return json.as_object();
  }

  const Json& member(std::string_view key) const {
    const Json* found = json_.find(key);
    if (!found) refuse(json_, quote(key), " is missing");
    return *found;
  }

  std::uint64_t size(const Json& json) const {
    if (!json.is_integer() || json.as_integer() < 0)
      refuse(json, "expected an integer >= 0, found ", dump(json));
    return static_cast<std::uint64_t>(json.as_integer());
  }

  StoredType type() const {
    const Json& json = member("dtype");
    if (!json.is_string()) refuse(json, "dtype is a string, not ", json.type_name());
    const auto row =
        std::ranges::find(kTypes, json.as_string(), [](const TypeRow& r) { return std::string(r.name); });
    if (row == kTypes.end()) refuse(json, "unknown dtype ", quote(json.as_string()));
    return static_cast<StoredType>(row - kTypes.begin());
  }

  std::vector<std::int64_t> shape() const {
    const Json& json = member("shape");
    if (!json.is_array()) refuse(json, "shape is an array, not ", json.type_name());
    if (json.size() > kMaxRank) refuse(json, json.size(), " dimensions; at most ", kMaxRank);
    std::vector<std::int64_t> shape;
    for (const Json& n : json.as_array()) shape.push_back(static_cast<std::int64_t>(size(n)));
    return shape;
  }

  std::uint64_t bytes_of(const StoredTensor& tensor) const {
    std::optional<std::uint64_t> bits = type_bits(tensor.type);
    for (const std::int64_t n : tensor.shape)
      bits = bits ? checked_mul(*bits, static_cast<std::uint64_t>(n)) : bits;
    if (!bits) refuse(json_, describe_type(tensor.type, tensor.shape), " is larger than 64 bits can count");
    if (*bits % 8 != 0)
      refuse(json_, describe_type(tensor.type, tensor.shape), " is no whole number of bytes");
    return *bits / 8;
  }

  const std::string& path_;
  const std::string& name_;
  const Json& json_;
};

/// Where a folder has its weights as PyTorch pickles them: what makes safetensors of them.
std::string way_from_pickle(Fs& fs, const std::string& folder) {
  const std::vector<std::string> names = fs.list(folder);
  const auto pickle = std::ranges::find_if(names, [](const std::string& name) {
    return (name.ends_with(".bin") || name.ends_with(".pth")) && name != "training_args.bin";
  });
  if (pickle == names.end()) return "";
  return "; " + *pickle +
         " is not read, as a pickle can run code: convert it (transformers: save_pretrained(FOLDER, "
         "safe_serialization=True))";
}

std::map<std::string, std::string> read_metadata(const Json& json) {
  std::map<std::string, std::string> metadata;
  for (const auto& [key, value] : json.as_object()) metadata[key] = value.as_string();
  return metadata;
}

}  // namespace

std::string_view type_name(StoredType type) { return kTypes[static_cast<std::size_t>(type)].name; }
std::uint64_t type_bits(StoredType type) { return kTypes[static_cast<std::size_t>(type)].bits; }

std::string describe_type(StoredType type, std::span<const std::int64_t> shape) {
  std::string text(type_name(type));
  text += " [";
  for (std::size_t i = 0; i < shape.size(); ++i) text += (i > 0 ? ", " : "") + std::to_string(shape[i]);
  return text + "]";
}

SafetensorsFile::SafetensorsFile(Fs& fs, const std::string& path) : file_(File::open(fs, path)) {
  ByteReader reader(file_);
  const std::uint64_t size = reader.left();
  const auto header_bytes = reader.number<std::uint64_t>("the header's length");
  if (header_bytes > kMaxHeader) {
    refuse_lfs_pointer(file_);
    reader.fail_here("a header of ", header_bytes, " bytes; at most ", kMaxHeader);
  }
  const std::string text = reader.text(header_bytes, "the header");
  if (!text.starts_with('{')) fail(path, ": byte 8: the header does not begin with {");
  const JsonLimits limits{.max_bytes = kMaxHeader, .max_depth = 4, .max_values = 10 * kMaxTensors};
  const Json header = parse_json(text, path, limits);
  if (header.size() > kMaxTensors + 1) fail(path, ": ", header.size(), " tensors; at most ", kMaxTensors);
  for (const auto& [name, json] : header.as_object()) {
    if (name == "__metadata__")
      metadata_ = read_metadata(json);
    else
      tensors_.push_back(Entry(path, name, json).read(reader.offset()));
  }
  std::ranges::sort(tensors_, [](const StoredTensor& a, const StoredTensor& b) {
    return std::pair(a.offset, a.bytes) < std::pair(b.offset, b.bytes);
  });
  check_layout(reader.offset(), size);
  for (std::size_t i = 0; i < tensors_.size(); ++i) index_.emplace(tensors_[i].name, i);
}

void SafetensorsFile::check_layout(std::uint64_t begin, std::uint64_t size) const {
  std::uint64_t next = begin;
  for (const StoredTensor& tensor : tensors_) {
    if (tensor.offset != next)
      fail(path(), ": tensor ", quote(tensor.name), ": its bytes begin at ", tensor.offset,
           tensor.offset < next ? ", inside the tensor before, which ends at " : ", a hole after byte ",
           next);
    if (tensor.bytes > size - next)
      fail(path(), ": tensor ", quote(tensor.name), ": byte ", next, ": needs ", tensor.bytes,
           " bytes, but only ", size - next, " are left");
    next += tensor.bytes;
  }
  if (next != size) fail(path(), ": byte ", next, ": ", size - next, " bytes after the last tensor");
}

const StoredTensor* SafetensorsFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const StoredTensor& SafetensorsFile::at(std::string_view name) const {
  const StoredTensor* found = find(name);
  if (!found) fail(path(), ": tensor ", quote(name), " is missing");
  return *found;
}

void SafetensorsFile::read(const StoredTensor& tensor, std::span<std::byte> to, std::uint64_t skip) const {
  if (skip > tensor.bytes || to.size() > tensor.bytes - skip)
    fail(path(), ": tensor ", quote(tensor.name), ": ", to.size(), " bytes from byte ", skip,
         " were asked of ", tensor.bytes);
  file_.read(to, tensor.offset + skip);
}

SafetensorsFolder::SafetensorsFolder(Fs& fs, const std::string& folder) {
  const std::string single = join_path(folder, "model.safetensors");
  if (fs.exists(single))
    add(fs, single);
  else
    read_index(fs, folder);
}

void SafetensorsFolder::add(Fs& fs, const std::string& path) {
  const SafetensorsFile& file = *files_.emplace_back(std::make_unique<SafetensorsFile>(fs, path));
  for (const StoredTensor& tensor : file.tensors()) {
    const auto [at, fresh] = tensors_.try_emplace(tensor.name, Found{&file, &tensor});
    if (!fresh) fail(path, ": tensor ", quote(tensor.name), " stands in ", at->second.file->path(), " too");
  }
}

void SafetensorsFolder::read_index(Fs& fs, const std::string& folder) {
  const std::string path = join_path(folder, "model.safetensors.index.json");
  if (!fs.exists(path))
    fail(folder, ": holds neither model.safetensors nor model.safetensors.index.json",
         way_from_pickle(fs, folder));
  const std::uint64_t limit = std::uint64_t{16} << 20;
  const Json index = parse_json(read_model_file(fs, path, limit), path, JsonLimits::model_file());
  std::map<std::string, std::string> wanted;  // by tensor
  std::map<std::string, bool> files;
  for (const auto& [tensor, json] : index.at("weight_map").as_object()) {
    const std::string& name = json.as_string();
    const bool plain = name.size() <= 255 && std::ranges::all_of(name, [](unsigned char c) {
                         return std::isalnum(c) || c == '.' || c == '_' || c == '-';
                       });
    if (!plain || !name.ends_with(".safetensors") || name.starts_with('.'))
      json.fail_here("a shard is a plain file name that ends with .safetensors, not ", quote(name));
    wanted[tensor] = join_path(folder, name);
    files[name] = true;
  }
  if (files.size() > 4096) fail(path, ": ", files.size(), " shards; at most 4096");
  for (const auto& [name, used] : files) add(fs, join_path(folder, name));
  for (const auto& [tensor, file] : wanted) {
    const auto found = tensors_.find(tensor);
    if (found == tensors_.end() || found->second.file->path() != file)
      fail(file, ": tensor ", quote(tensor), " is missing, which ", path, " says it holds");
  }
  for (const auto& [tensor, found] : tensors_)
    if (!wanted.contains(tensor)) fail(found.file->path(), ": tensor ", quote(tensor), " is not in ", path);
}

}  // namespace prefer
