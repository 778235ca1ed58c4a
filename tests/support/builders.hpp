// Builds the bytes of small files by hand, good and bad.
#pragma once

#include <zlib.h>

#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>
#include <vector>

namespace prefer::testing {

/// One gzip member.
inline std::string gzip(const std::string& text) {
  z_stream state{};
  deflateInit2(&state, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY);
  std::string packed(deflateBound(&state, text.size()) + 64, '\0');
  state.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  state.avail_in = static_cast<uInt>(text.size());
  state.next_out = reinterpret_cast<Bytef*>(packed.data());
  state.avail_out = static_cast<uInt>(packed.size());
  deflate(&state, Z_FINISH);
  packed.resize(state.total_out);
  deflateEnd(&state);
  return packed;
}

/// `text` with a bit of the byte at `at` turned; from the end where `at` is negative.
inline std::string flipped(std::string text, std::ptrdiff_t at, int bit = 0) {
  char& byte = text[at < 0 ? text.size() - static_cast<std::size_t>(-at) : static_cast<std::size_t>(at)];
  byte = static_cast<char>(byte ^ (1 << bit));
  return text;
}

/// A number as it lies in memory.
template <class T>
std::string bytes_of(T value) {
  return {reinterpret_cast<const char*>(&value), sizeof value};
}

/// A safetensors file of this header and so many data bytes.
inline std::string safetensors(const std::string& header, std::size_t data) {
  return bytes_of<std::uint64_t>(header.size()) + header + std::string(data, 'x');
}

/// A GGUF file, written from the front.
struct Gguf {
  std::string bytes;

  template <class T>
  Gguf& number(T value) {
    bytes += bytes_of(value);
    return *this;
  }
  Gguf& text(std::string_view value) {
    number<std::uint64_t>(value.size());
    bytes += value;
    return *this;
  }
  Gguf& head(std::uint64_t tensors, std::uint64_t keys, std::uint32_t version = 3) {
    bytes += "GGUF";
    return number(version).number(tensors).number(keys);
  }
  /// A key whose value, of a number type of the format, follows.
  Gguf& key(std::string_view name, std::uint32_t type) { return text(name).number(type); }
  Gguf& integer(std::string_view name, std::uint32_t value) { return key(name, 4).number(value); }
  Gguf& real(std::string_view name, float value) { return key(name, 6).number(value); }
  Gguf& string(std::string_view name, std::string_view value) { return key(name, 8).text(value); }
  Gguf& strings(std::string_view name, const std::vector<std::string>& values) {
    key(name, 9).number(8u).number<std::uint64_t>(values.size());
    for (const std::string& value : values) text(value);
    return *this;
  }
  Gguf& integers(std::string_view name, const std::vector<std::int32_t>& values) {
    key(name, 9).number(5u).number<std::uint64_t>(values.size());
    for (const std::int32_t value : values) number(value);
    return *this;
  }
  /// Dimensions in the order of the file: the contiguous one first.
  Gguf& tensor(std::string_view name, const std::vector<std::int64_t>& ne, std::uint32_t type,
               std::uint64_t offset) {
    text(name).number(static_cast<std::uint32_t>(ne.size()));
    for (const std::int64_t n : ne) number(n);
    return number(type).number(offset);
  }
  Gguf& data(std::size_t n, std::size_t align = 32) {
    bytes.resize((bytes.size() + align - 1) / align * align + n, '\x01');
    return *this;
  }
};

/// A field of a protocol buffer that is a string or a message, and one that is a number.
inline std::string proto(int field, const std::string& value) {
  std::string out(1, static_cast<char>(field << 3 | 2));
  for (std::size_t size = value.size();; size >>= 7) {
    out += static_cast<char>((size & 127) | (size > 127 ? 128 : 0));
    if (size <= 127) return out + value;
  }
}
inline std::string proto(int field, int value) {
  return {static_cast<char>(field << 3), static_cast<char>(value)};
}

/// A piece of a sentencepiece model; types: 1 normal, 2 unknown, 3 control, 4 user defined, 6 byte.
inline std::string piece(const std::string& text, float score, int type = 1) {
  return proto(1, proto(1, text) + "\x15" + bytes_of(score) + proto(3, type));
}

}  // namespace prefer::testing
