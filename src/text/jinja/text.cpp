// Strings with origins: building, cutting, and Python's string functions over them.
#include "src/text/jinja/text.hpp"

#include <algorithm>

namespace prefer::jinja {

Origin Text::origin(std::size_t offset) const {
  const auto run = std::upper_bound(runs_.begin(), runs_.end(), offset,
                                    [](std::size_t at, const Run& r) { return at < r.end; });
  return run == runs_.end() ? Origin{} : run->origin;
}

void Text::append(std::string_view bytes, Origin origin) {
  if (bytes.empty()) return;
  bytes_.append(bytes);
  if (!runs_.empty() && runs_.back().origin == origin) {
    runs_.back().end = bytes_.size();
  } else {
    runs_.push_back({bytes_.size(), origin});
  }
}

void Text::append(const Text& other, std::size_t begin, std::size_t end) {
  const auto first = std::upper_bound(other.runs_.begin(), other.runs_.end(), begin,
                                      [](std::size_t at, const Run& r) { return at < r.end; });
  for (auto run = first; run != other.runs_.end() && begin < end; ++run) {
    const std::size_t stop = std::min(run->end, end);
    append(std::string_view(other.bytes_).substr(begin, stop - begin), run->origin);
    begin = stop;
  }
}

Text Text::slice(std::size_t begin, std::size_t end) const {
  Text out;
  out.append(*this, begin, end);
  return out;
}

void Text::mark_generated() {
  for (Run& run : runs_) run.origin.generated = true;
}

std::size_t code_point_length(std::string_view bytes, std::size_t offset) {
  const auto lead = static_cast<unsigned char>(bytes[offset]);
  const std::size_t wanted = lead < 0xC0 ? 1 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return std::min(wanted, bytes.size() - offset);
}

char32_t code_point(std::string_view bytes, std::size_t offset) {
  const std::size_t length = code_point_length(bytes, offset);
  const auto lead = static_cast<unsigned char>(bytes[offset]);
  if (length == 1) return lead;
  char32_t value = lead & (0xFFu >> (length + 1));
  for (std::size_t i = 1; i < length; ++i) {
    value = value << 6 | (static_cast<unsigned char>(bytes[offset + i]) & 0x3Fu);
  }
  return value;
}

std::vector<std::size_t> code_points(std::string_view bytes) {
  std::vector<std::size_t> offsets;
  offsets.reserve(bytes.size() + 1);
  for (std::size_t at = 0; at < bytes.size(); at += code_point_length(bytes, at)) offsets.push_back(at);
  offsets.push_back(bytes.size());
  return offsets;
}

bool is_space(char32_t c) {
  return (c >= 0x09 && c <= 0x0D) || (c >= 0x1C && c <= 0x20) || c == 0x85 || c == 0xA0 || c == 0x1680 ||
         (c >= 0x2000 && c <= 0x200A) || c == 0x2028 || c == 0x2029 || c == 0x202F || c == 0x205F ||
         c == 0x3000;
}

namespace {

std::size_t previous(std::string_view bytes, std::size_t at) {
  do {
    --at;
  } while (at > 0 && (static_cast<unsigned char>(bytes[at]) & 0xC0u) == 0x80u);
  return at;
}

bool strippable(std::string_view bytes, std::size_t at, const std::string* chars) {
  if (chars == nullptr) return is_space(code_point(bytes, at));
  const std::string_view one = bytes.substr(at, code_point_length(bytes, at));
  for (std::size_t i = 0; i < chars->size(); i += code_point_length(*chars, i)) {
    if (std::string_view(*chars).substr(i, code_point_length(*chars, i)) == one) return true;
  }
  return false;
}

std::vector<Text> split_space(const Text& text, std::int64_t limit) {
  std::vector<Text> parts;
  const std::string& bytes = text.bytes();
  std::size_t at = 0;
  const auto skip = [&](bool spaces) {
    while (at < bytes.size() && is_space(code_point(bytes, at)) == spaces) at += code_point_length(bytes, at);
  };
  for (skip(true); at < bytes.size(); skip(true)) {
    if (limit >= 0 && parts.size() == static_cast<std::size_t>(limit)) {
      parts.push_back(text.slice(at, bytes.size()));
      break;
    }
    const std::size_t begin = at;
    skip(false);
    parts.push_back(text.slice(begin, at));
  }
  return parts;
}

}  // namespace

Text strip(const Text& text, Sides sides, const std::string* chars) {
  const std::string& bytes = text.bytes();
  std::size_t begin = 0, end = bytes.size();
  if (sides != Sides::right) {
    while (begin < end && strippable(bytes, begin, chars)) begin += code_point_length(bytes, begin);
  }
  if (sides != Sides::left) {
    while (end > begin && strippable(bytes, previous(bytes, end), chars)) end = previous(bytes, end);
  }
  return text.slice(begin, end);
}

std::vector<Text> split(const Text& text, const std::string* separator, std::int64_t limit) {
  if (separator == nullptr) return split_space(text, limit);
  std::vector<Text> parts;
  std::size_t begin = 0;
  while (limit < 0 || parts.size() < static_cast<std::size_t>(limit)) {
    const std::size_t at = text.bytes().find(*separator, begin);
    if (at == std::string::npos) break;
    parts.push_back(text.slice(begin, at));
    begin = at + separator->size();
  }
  parts.push_back(text.slice(begin, text.size()));
  return parts;
}

std::vector<Text> split_right(const Text& text, const std::string& separator, std::int64_t limit) {
  std::vector<Text> parts;
  std::size_t end = text.size();
  while ((limit < 0 || parts.size() < static_cast<std::size_t>(limit)) && end >= separator.size()) {
    const std::size_t at = text.bytes().rfind(separator, end - separator.size());
    if (at == std::string::npos) break;
    parts.push_back(text.slice(at + separator.size(), end));
    end = at;
  }
  parts.push_back(text.slice(0, end));
  std::reverse(parts.begin(), parts.end());
  return parts;
}

std::vector<Text> split_lines(const Text& text) {
  std::vector<Text> lines;
  const std::string& bytes = text.bytes();
  std::size_t begin = 0;
  for (std::size_t at = 0; at < bytes.size();) {
    const char32_t c = code_point(bytes, at);
    const std::size_t length = code_point_length(bytes, at);
    const bool ends =
        (c >= 0x0A && c <= 0x0D) || (c >= 0x1C && c <= 0x1E) || c == 0x85 || c == 0x2028 || c == 0x2029;
    std::size_t next = at + length;
    if (ends) {
      if (c == '\r' && next < bytes.size() && bytes[next] == '\n') ++next;
      lines.push_back(text.slice(begin, at));
      begin = next;
    }
    at = next;
  }
  if (begin < bytes.size()) lines.push_back(text.slice(begin, bytes.size()));
  return lines;
}

Text replace(const Text& text, const std::string& old, const Text& with, std::int64_t count) {
  Text out;
  const std::string& bytes = text.bytes();
  std::size_t begin = 0;
  for (std::size_t at = 0; count != 0; --count) {
    if (old.empty()) {
      out.append(with);
      if (at == bytes.size()) break;
      at += code_point_length(bytes, at);
      out.append(text, begin, at);
      begin = at;
      continue;
    }
    at = bytes.find(old, at);
    if (at == std::string::npos) break;
    out.append(text, begin, at);
    out.append(with);
    at += old.size();
    begin = at;
  }
  out.append(text, begin, text.size());
  return out;
}

}  // namespace prefer::jinja
