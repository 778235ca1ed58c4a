// Typed access to what a GGUF file holds.
#include "prefer/core/gguf.hpp"

#include "gguf_parse.hpp"
#include "prefer/core/json.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <limits>
#include <utility>

namespace prefer {
namespace {

template <class T>
T item(const std::string& raw, std::uint64_t i) {
  T value;
  std::memcpy(&value, raw.data() + i * sizeof value, sizeof value);
  return value;
}

}  // namespace

GgufFile::GgufFile(Fs& fs, const std::string& path) : file_(File::open(fs, path)) {
  GgufParser(*this).parse();
}

std::int64_t GgufTensor::rows() const {
  std::int64_t rows = 1;
  for (std::size_t i = 0; i + 1 < shape.size(); ++i) rows *= shape[i];
  return rows;
}

std::vector<std::string> GgufFile::keys() const {
  std::vector<std::string> keys;
  for (const auto& [key, value] : metadata_) keys.push_back(key);
  return keys;
}

std::string GgufFile::type_of(const Value& value) {
  static constexpr std::array<const char*, 13> kNames = {
      "u8", "i8", "u16", "i16", "u32", "i32", "f32", "boolean", "string", "array", "u64", "i64", "f64"};
  return (value.is_array ? "an array of " : "a value of type ") +
         std::string(kNames[static_cast<std::size_t>(value.kind)]);
}

void GgufFile::wrong_type(std::string_view key, const Value& value, std::string_view wanted) const {
  fail(path(), ": ", key, ": expected ", wanted, ", found ", type_of(value));
}

const GgufFile::Value* GgufFile::value(std::string_view key, bool array, std::string_view wanted,
                                       bool optional) const {
  const auto found = metadata_.find(key);
  if (found == metadata_.end()) {
    if (optional) return nullptr;
    fail(path(), ": the key ", key, " is missing");
  }
  if (found->second.is_array != array) wrong_type(key, found->second, wanted);
  return &found->second;
}

std::int64_t GgufFile::integer_at(std::string_view key, const Value& value, std::uint64_t i) const {
  switch (value.kind) {
    case Kind::u8:
      return item<std::uint8_t>(value.raw, i);
    case Kind::i8:
      return item<std::int8_t>(value.raw, i);
    case Kind::u16:
      return item<std::uint16_t>(value.raw, i);
    case Kind::i16:
      return item<std::int16_t>(value.raw, i);
    case Kind::u32:
      return item<std::uint32_t>(value.raw, i);
    case Kind::i32:
      return item<std::int32_t>(value.raw, i);
    case Kind::i64:
      return item<std::int64_t>(value.raw, i);
    case Kind::u64: {
      const auto wide = item<std::uint64_t>(value.raw, i);
      if (!std::in_range<std::int64_t>(wide))
        fail(path(), ": ", key, ": ", wide, " does not fit 64 signed bits");
      return static_cast<std::int64_t>(wide);
    }
    default:
      wrong_type(key, value, value.is_array ? "integers" : "an integer");
  }
}

double GgufFile::number_at(std::string_view key, const Value& value, std::uint64_t i) const {
  if (value.kind == Kind::f32) return item<float>(value.raw, i);
  if (value.kind == Kind::f64) return item<double>(value.raw, i);
  if (value.kind == Kind::string || value.kind == Kind::boolean)
    wrong_type(key, value, value.is_array ? "numbers" : "a number");
  return static_cast<double>(integer_at(key, value, i));
}

std::int64_t GgufFile::integer(std::string_view key, std::optional<std::int64_t> fallback) const {
  const Value* found = value(key, false, "an integer", fallback.has_value());
  return found ? integer_at(key, *found, 0) : *fallback;
}

double GgufFile::number(std::string_view key, std::optional<double> fallback) const {
  const Value* found = value(key, false, "a number", fallback.has_value());
  return found ? number_at(key, *found, 0) : *fallback;
}

bool GgufFile::boolean(std::string_view key, std::optional<bool> fallback) const {
  const Value* found = value(key, false, "a boolean", fallback.has_value());
  if (found && found->kind != Kind::boolean) wrong_type(key, *found, "a boolean");
  return found ? found->raw[0] != 0 : *fallback;
}

std::string GgufFile::text(std::string_view key, const std::optional<std::string>& fallback) const {
  const Value* found = value(key, false, "a string", fallback.has_value());
  if (found && found->kind != Kind::string) wrong_type(key, *found, "a string");
  return found ? found->raw : *fallback;
}

std::vector<std::int64_t> GgufFile::integers(std::string_view key) const {
  std::vector<std::int64_t> items;
  const Value* found = value(key, true, "an array of integers", true);
  for (std::uint64_t i = 0; found && i < found->count; ++i) items.push_back(integer_at(key, *found, i));
  return items;
}

std::vector<float> GgufFile::numbers(std::string_view key) const {
  std::vector<float> items;
  const Value* found = value(key, true, "an array of numbers", true);
  for (std::uint64_t i = 0; found && i < found->count; ++i)
    items.push_back(static_cast<float>(number_at(key, *found, i)));
  return items;
}

std::vector<std::string_view> GgufFile::texts(std::string_view key) const {
  std::vector<std::string_view> items;
  const Value* found = value(key, true, "an array of strings", true);
  if (!found) return items;
  if (found->kind != Kind::string) wrong_type(key, *found, "an array of strings");
  std::uint64_t begin = 0;
  for (const std::uint64_t end : found->ends) {
    items.push_back(std::string_view(found->raw).substr(begin, end - begin));
    begin = end;
  }
  return items;
}

const GgufTensor* GgufFile::find(std::string_view name) const {
  const auto found = index_.find(name);
  return found == index_.end() ? nullptr : &tensors_[found->second];
}

const GgufTensor& GgufFile::at(std::string_view name) const {
  const GgufTensor* found = find(name);
  if (!found) fail(path(), ": tensor ", quote(name), " is missing");
  return *found;
}

void GgufFile::read_bytes(const GgufTensor& tensor, std::span<std::byte> to, std::uint64_t skip) const {
  if (skip > tensor.bytes || to.size() > tensor.bytes - skip)
    fail(path(), ": tensor ", quote(tensor.name), ": ", to.size(), " bytes from byte ", skip,
         " were asked of ", tensor.bytes);
  file_.read(to, tensor.offset + skip);
}

void GgufFile::read_rows(const GgufTensor& tensor, std::span<float> to, std::int64_t first_row) const {
  const auto width = static_cast<std::uint64_t>(tensor.row_elements());
  const auto all = static_cast<std::uint64_t>(tensor.rows());
  const std::uint64_t rows = to.size() / width;
  const auto first = static_cast<std::uint64_t>(first_row);
  if (to.size() % width != 0 || first > all || rows > all - first)
    fail(path(), ": tensor ", quote(tensor.name), ": ", to.size(), " elements from row ", first_row,
         " were asked of [", all, ", ", width, "]");
  const GgufBlock& block = gguf_block(tensor.type);
  const std::uint64_t row_bytes = width / block.elements * block.bytes;
  const std::uint64_t at_once = std::max<std::uint64_t>(1, (std::uint64_t{1} << 20) / row_bytes);
  std::vector<std::byte> bytes;
  for (std::uint64_t row = 0; row < rows; row += at_once) {
    const std::uint64_t n = std::min(at_once, rows - row);
    bytes.resize(n * row_bytes);
    read_bytes(tensor, bytes, (first + row) * row_bytes);
    gguf_dequantize(tensor.type, bytes, to.subspan(row * width, n * width));
  }
}

bool is_gguf(Fs& fs, const std::string& path) {
  const auto status = fs.status(path);
  if (!status || status->kind != FileKind::regular || status->size < 4) return false;
  std::array<char, 4> magic{};
  File::open(fs, path).read(std::as_writable_bytes(std::span(magic)), 0);
  return std::string_view(magic.data(), magic.size()) == "GGUF";
}

}  // namespace prefer
