// Parses the header of a GGUF file, trusting nothing.
#include "gguf_parse.hpp"

#include "prefer/core/json.hpp"

#include <algorithm>
#include <array>
#include <bit>

namespace prefer {
namespace {

constexpr std::uint64_t kMaxKeys = 65'536, kMaxTensors = 65'536, kMaxItems = std::uint64_t{16} << 20;
constexpr std::uint64_t kMaxKey = std::uint64_t{64} << 10, kMaxString = std::uint64_t{16} << 20,
                        kMaxName = 512;
constexpr std::uint64_t kMaxAlignment = std::uint64_t{64} << 10;
constexpr std::uint32_t kMaxRank = 4;
constexpr std::array<std::uint64_t, 13> kItemBytes = {1, 1, 2, 2, 4, 4, 4,
                                                      1, 8, 0, 8, 8, 8};  // a string: its length

}  // namespace

void GgufParser::parse() {
  const std::string magic = reader_.text(4, "the magic");
  if (magic != "GGUF") fail(into_.path(), ": byte 0: a GGUF file begins with GGUF, not ", quote(magic));
  version_ = reader_.number<std::uint32_t>("the version");
  if (version_ != 2 && version_ != 3)
    reader_.fail_here("GGUF version ", version_, __builtin_bswap32(version_) <= 3 ? " (big-endian)" : "",
                      "; versions read are 2 and 3, little-endian");
  const std::uint64_t tensors = read_count("tensors", kMaxTensors);
  const std::uint64_t keys = read_count("keys", kMaxKeys);
  for (std::uint64_t i = 0; i < keys; ++i) read_metadata();
  for (std::uint64_t i = 0; i < tensors; ++i) read_tensor();
  place_tensors();
}

std::uint64_t GgufParser::read_count(std::string_view what, std::uint64_t cap) {
  const auto count = reader_.number<std::uint64_t>(what);
  if (count > cap) reader_.fail_here(count, " ", what, "; at most ", cap);
  return count;
}

std::string GgufParser::read_string(std::string_view what, std::uint64_t cap) {
  const auto length = reader_.number<std::uint64_t>(what);
  if (length > cap) reader_.fail_here(what, " has ", length, " bytes; at most ", cap);
  return reader_.text(length, what);
}

void GgufParser::read_metadata() {
  std::string key = read_string("a key", kMaxKey);
  GgufFile::Value value = read_value(key);
  const auto [at, fresh] = into_.metadata_.try_emplace(std::move(key), std::move(value));
  if (!fresh) reader_.fail_here("the key ", quote(at->first), " stands twice");
}

GgufFile::Value GgufParser::read_value(const std::string& key) {
  using Kind = GgufFile::Kind;
  const auto kind = [&] {
    const auto number = reader_.number<std::uint32_t>("a value's type");
    if (number >= kItemBytes.size())
      reader_.fail_here("the key ", quote(key), " has the unknown type ", number);
    return static_cast<Kind>(number);
  };
  GgufFile::Value value{kind(), false, 1, {}, {}};
  if (value.kind == Kind::array) {
    value.is_array = true;
    value.kind = kind();
    if (value.kind == Kind::array) reader_.fail_here("the key ", quote(key), " is an array of arrays");
    value.count = read_count("items", kMaxItems);
    reader_.need(value.count * kItemBytes[static_cast<std::size_t>(value.kind)], "the array " + quote(key));
  }
  read_items(value, key);
  return value;
}

void GgufParser::read_items(GgufFile::Value& value, const std::string& key) {
  using Kind = GgufFile::Kind;
  if (value.kind == Kind::string) {
    value.ends.reserve(value.count);
    for (std::uint64_t i = 0; i < value.count; ++i) {
      value.raw += read_string("a string of a value", kMaxString);
      value.ends.push_back(value.raw.size());
    }
    return;
  }
  value.raw = reader_.text(value.count * kItemBytes[static_cast<std::size_t>(value.kind)], "a value");
  if (value.kind == Kind::boolean && std::ranges::any_of(value.raw, [](char c) { return c != 0 && c != 1; }))
    reader_.fail_here("the key ", quote(key), " holds a boolean that is neither 0 nor 1");
}

void GgufParser::read_tensor() {
  GgufTensor tensor;
  tensor.name = read_string("a tensor's name", kMaxName);
  const auto refuse = [&](const auto&... parts) {
    reader_.fail_here("tensor ", quote(tensor.name), ": ", parts...);
  };
  const auto rank = reader_.number<std::uint32_t>("a tensor's rank");
  if (rank < 1 || rank > kMaxRank) refuse(rank, " dimensions; 1 to ", kMaxRank, " are allowed");
  std::optional<std::uint64_t> elements = 1;
  for (std::uint32_t i = 0; i < rank; ++i) {
    const auto n = reader_.number<std::int64_t>("a tensor's dimension");
    if (n < 1) refuse("a dimension of ", n);
    elements = elements ? checked_mul(*elements, static_cast<std::uint64_t>(n)) : elements;
    tensor.shape.insert(tensor.shape.begin(), n);
  }
  tensor.type = static_cast<GgufType>(reader_.number<std::uint32_t>("a tensor's type"));
  tensor.offset = reader_.number<std::uint64_t>("a tensor's offset");
  GgufBlock block;
  try {
    block = gguf_block(tensor.type);
  } catch (const Error& error) {
    refuse(error.what());
  }
  if (static_cast<std::uint64_t>(tensor.row_elements()) % block.elements != 0)
    refuse("rows of ", tensor.row_elements(), " elements are no whole blocks of ", block.name,
           ", which hold ", block.elements);
  const auto bytes = elements ? checked_mul(*elements / block.elements, block.bytes) : std::nullopt;
  if (!bytes) refuse("its size is beyond 64 bits");
  tensor.bytes = *bytes;
  if (!into_.index_.emplace(tensor.name, into_.tensors_.size()).second) refuse("stands twice");
  into_.tensors_.push_back(std::move(tensor));
}

std::uint64_t GgufParser::alignment() const {
  const std::int64_t alignment = into_.integer("general.alignment", 32);
  if (alignment < 1 || static_cast<std::uint64_t>(alignment) > kMaxAlignment ||
      !std::has_single_bit(static_cast<std::uint64_t>(alignment)))
    fail(into_.path(), ": general.alignment is a power of two up to ", kMaxAlignment, ", not ", alignment);
  return static_cast<std::uint64_t>(alignment);
}

void GgufParser::place_tensors() {
  const std::uint64_t align = alignment();
  const std::uint64_t size = reader_.offset() + reader_.left();
  const std::uint64_t begin = (reader_.offset() + align - 1) / align * align;
  std::vector<GgufTensor*> order;
  for (GgufTensor& tensor : into_.tensors_) {
    const auto refuse = [&](const auto&... parts) {
      fail(into_.path(), ": tensor ", quote(tensor.name), ": byte ", tensor.offset,
           " of the data: ", parts...);
    };
    if (tensor.offset % align != 0) refuse("is not aligned to ", align);
    if (begin > size || tensor.offset > size - begin || tensor.bytes > size - begin - tensor.offset)
      refuse("needs ", tensor.bytes, " bytes, beyond the end of the file");
    tensor.offset += begin;
    order.push_back(&tensor);
  }
  std::ranges::sort(order, {}, &GgufTensor::offset);
  for (std::size_t i = 1; i < order.size(); ++i)
    if (order[i]->offset < order[i - 1]->offset + order[i - 1]->bytes)
      fail(into_.path(), ": tensor ", quote(order[i]->name), ": byte ", order[i]->offset,
           ": overlaps tensor ", quote(order[i - 1]->name));
}

}  // namespace prefer
