// The GGUF format, versions 2 and 3: metadata with types, tensor infos, and rows as floats (docs/formats.md).
#pragma once

#include "prefer/core/fs.hpp"

#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

/// The tensor types that are read; numbers are the file's.
enum class GgufType : std::uint32_t {
  kF32 = 0,
  kF16 = 1,
  kQ4_0 = 2,
  kQ4_1 = 3,
  kQ5_0 = 6,
  kQ5_1 = 7,
  kQ8_0 = 8,
  kQ4_K = 12,
  kQ5_K = 13,
  kQ6_K = 14,
  kBf16 = 30
};
/// A type's block: so many elements in so many bytes. Throws Error for a number that is none of the above.
struct GgufBlock {
  std::string_view name;
  std::uint32_t elements;
  std::uint32_t bytes;
};
const GgufBlock& gguf_block(GgufType type);

/// Floats of whole blocks, by the format's reference formulas, each operation in single precision.
/// `from` holds to.size() elements; to.size() is a multiple of the block.
void gguf_dequantize(GgufType type, std::span<const std::byte> from, std::span<float> to);

struct GgufTensor {
  std::string name;
  GgufType type;
  std::vector<std::int64_t> shape;  ///< as PyTorch has it: the last dimension is contiguous
  std::uint64_t offset;             ///< of the first byte, in the file
  std::uint64_t bytes;
  std::int64_t row_elements() const { return shape.back(); }
  std::int64_t rows() const;  ///< the product of the other dimensions
};

/// One open file. The whole header is checked, under the caps of src/core/gguf_parse.cpp, before the
/// constructor returns; errors are one line with file, key or tensor, and byte offset.
class GgufFile {
 public:
  GgufFile(Fs& fs, const std::string& path);

  const std::string& path() const { return file_.path(); }
  bool has(std::string_view key) const { return metadata_.contains(key); }
  std::vector<std::string> keys() const;

  /// A value of any of the integer types, of f32 or f64 (an integer is a number too), a boolean, a string.
  /// Throws when the key has another type, or is missing and there is no fallback.
  std::int64_t integer(std::string_view key, std::optional<std::int64_t> fallback = {}) const;
  double number(std::string_view key, std::optional<double> fallback = {}) const;
  bool boolean(std::string_view key, std::optional<bool> fallback = {}) const;
  std::string text(std::string_view key, const std::optional<std::string>& fallback = {}) const;
  /// Arrays; empty when the key is missing. The views live as long as the file object.
  std::vector<std::int64_t> integers(std::string_view key) const;
  std::vector<float> numbers(std::string_view key) const;
  std::vector<std::string_view> texts(std::string_view key) const;

  const std::vector<GgufTensor>& tensors() const { return tensors_; }  ///< in the order of the file
  const GgufTensor* find(std::string_view name) const;
  /// Throws when it is missing.
  const GgufTensor& at(std::string_view name) const;

  /// The rows from `first_row` on that fill `to`, a multiple of tensor.row_elements().
  void read_rows(const GgufTensor& tensor, std::span<float> to, std::int64_t first_row = 0) const;
  /// The bytes as they are stored.
  void read_bytes(const GgufTensor& tensor, std::span<std::byte> to, std::uint64_t skip = 0) const;

 private:
  friend class GgufParser;
  enum class Kind : std::uint32_t { u8, i8, u16, i16, u32, i32, f32, boolean, string, array, u64, i64, f64 };
  struct Value {
    Kind kind;  // of the value, or of the items
    bool is_array;
    std::uint64_t count;              // of items; 1 for a scalar
    std::string raw;                  // little-endian numbers, or the strings end to end
    std::vector<std::uint64_t> ends;  // of the strings in raw
  };
  static std::string type_of(const Value& value);
  const Value* value(std::string_view key, bool array, std::string_view wanted, bool optional) const;
  std::int64_t integer_at(std::string_view key, const Value& value, std::uint64_t i) const;
  double number_at(std::string_view key, const Value& value, std::uint64_t i) const;
  [[noreturn]] void wrong_type(std::string_view key, const Value& value, std::string_view wanted) const;

  File file_;
  std::map<std::string, Value, std::less<>> metadata_;
  std::vector<GgufTensor> tensors_;
  std::map<std::string, std::size_t, std::less<>> index_;
};

/// Whether a regular file begins as a GGUF does, whatever its name. False for a folder or where nothing
/// stands.
bool is_gguf(Fs& fs, const std::string& path);

}  // namespace prefer
