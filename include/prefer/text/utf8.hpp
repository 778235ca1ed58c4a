// UTF-8: reading and writing code points, and mending text that is not valid.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

namespace prefer::utf8 {

/// A code point and how many bytes it took; `code` is U+FFFD and `valid` false where the bytes are none.
struct Point {
  char32_t code = 0xFFFD;
  std::size_t size = 1;
  bool valid = false;
  bool cut = false;  ///< invalid only because the text ends too early
};

/// The code point at the start of `text`, which is not empty. An invalid one spans the longest piece that
/// begins some valid code point (Unicode 15, table 3-7 and section 3.9), at least a byte.
inline Point first(std::string_view text) {
  const auto byte = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned lead = byte(0);
  if (lead < 0x80) return {lead, 1, true, false};
  if (lead < 0xC2 || lead > 0xF4) return {};
  const std::size_t length = lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  char32_t code = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    if (i == text.size()) return {0xFFFD, i, false, true};
    unsigned low = 0x80, high = 0xBF;
    if (i == 1 && lead == 0xE0) low = 0xA0;
    if (i == 1 && lead == 0xED) high = 0x9F;
    if (i == 1 && lead == 0xF0) low = 0x90;
    if (i == 1 && lead == 0xF4) high = 0x8F;
    if (byte(i) < low || byte(i) > high) return {0xFFFD, i, false, false};
    code = code << 6 | (byte(i) & 0x3Fu);
  }
  return {code, length, true, false};
}

/// Appends a code point below 0x110000.
inline void append(std::string& text, char32_t code) {
  const auto put = [&](char32_t byte) { text.push_back(static_cast<char>(byte)); };
  if (code < 0x80) return put(code);
  if (code < 0x800) {
    put(0xC0 | code >> 6);
  } else if (code < 0x10000) {
    put(0xE0 | code >> 12);
    put(0x80 | (code >> 6 & 0x3F));
  } else {
    put(0xF0 | code >> 18);
    put(0x80 | (code >> 12 & 0x3F));
    put(0x80 | (code >> 6 & 0x3F));
  }
  put(0x80 | (code & 0x3F));
}

/// Calls visit(code, bytes) for every code point of `text`.
template <class Visit>
void for_each(std::string_view text, Visit&& visit) {
  while (!text.empty()) {
    const Point point = first(text);
    visit(point.code, text.substr(0, point.size));
    text.remove_prefix(point.size);
  }
}

inline bool is_valid(std::string_view text) {
  while (!text.empty()) {
    const Point point = first(text);
    if (!point.valid) return false;
    text.remove_prefix(point.size);
  }
  return true;
}

/// `text` with every invalid piece made U+FFFD.
inline std::string mended(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for_each(text, [&](char32_t code, std::string_view) { append(out, code); });
  return out;
}

/// `text` with control characters made spaces: what others wrote, fit for a message of one line.
inline std::string one_line(std::string text) {
  for (char& c : text)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  return text;
}

}  // namespace prefer::utf8
