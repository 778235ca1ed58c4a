// The bounded reader of binary files: every length is checked against what is left before anything is
// allocated.
#pragma once

#include "prefer/core/error.hpp"

#include <bit>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <type_traits>
#include <vector>

namespace prefer {

class File;

/// a * b, or nothing when it does not fit.
inline std::optional<std::uint64_t> checked_mul(std::uint64_t a, std::uint64_t b) {
  std::uint64_t product;
  return __builtin_mul_overflow(a, b, &product) ? std::nullopt : std::optional(product);
}

/// Walks over the bytes of a file, or of memory, once from the front. Little-endian. Throws
/// Error("name: byte OFFSET: ...") where something does not fit.
class ByteReader {
 public:
  ByteReader(std::string name, std::span<const std::byte> bytes);
  /// Reads ahead by blocks; the file must outlive the reader.
  explicit ByteReader(const File& file);

  std::uint64_t offset() const { return offset_; }
  std::uint64_t left() const { return size_ - offset_; }

  /// Checks that `bytes` more are there; `what` names them in the error.
  void need(std::uint64_t bytes, std::string_view what) const;
  void bytes(std::span<std::byte> to, std::string_view what);
  std::string text(std::uint64_t length, std::string_view what);
  template <class T>
  requires std::is_arithmetic_v<T> T number(std::string_view what) {
    static_assert(std::endian::native == std::endian::little);
    T value;
    bytes(std::as_writable_bytes(std::span(&value, 1)), what);
    return value;
  }

  template <class... Parts>
  [[noreturn]] void fail_here(const Parts&... parts) const {
    fail(name_, ": byte ", offset_, ": ", parts...);
  }

 private:
  std::string name_;
  const File* file_ = nullptr;
  std::uint64_t size_;
  std::uint64_t offset_ = 0;
  std::span<const std::byte> window_;  // the bytes from window_begin_ that are in memory
  std::uint64_t window_begin_ = 0;
  std::vector<std::byte> buffer_;
};

}  // namespace prefer
