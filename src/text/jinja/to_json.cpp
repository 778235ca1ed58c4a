// The tojson filter: json.dumps with ensure_ascii off, and every byte's origin kept.
#include "prefer/core/error.hpp"
#include "src/text/jinja/value.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace prefer::jinja {
namespace {

class Writer {
 public:
  explicit Writer(const JsonStyle& style) : style_(style) {}
  Text out;

  void write(const Value& value, int level) {
    if (value.is_none()) return out.append("null");
    if (const bool* truth = value.boolean()) return out.append(*truth ? "true" : "false");
    if (const auto integer = value.integer()) return out.append(std::to_string(*integer));
    if (const auto number = value.number()) return write_number(*number);
    if (value.text()) return quote(*value.text());
    if (value.list() && value.list()->kind != ListKind::lazy) return write_list(*value.list(), level);
    if (value.dict()) return write_dict(*value.dict(), level);
    fail("tojson can't write ", value.type_name());
  }

 private:
  void write_number(double value) {
    if (std::isfinite(value)) return out.append(float_repr(value));
    out.append(std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
  }

  void write_list(const List& list, int level) {
    out.append("[");
    for (std::size_t i = 0; i < list.items.size(); ++i) {
      separate(i == 0, level + 1);
      write(list.items[i], level + 1);
    }
    close(list.items.empty(), level, "]");
  }

  void write_dict(const Dict& dict, int level) {
    std::vector<const std::pair<Text, Value>*> items;
    for (const auto& item : dict.items) items.push_back(&item);
    if (style_.sort_keys) {
      std::sort(items.begin(), items.end(),
                [](auto* a, auto* b) { return a->first.bytes() < b->first.bytes(); });
    }
    out.append("{");
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0, level + 1);
      quote(items[i]->first);
      out.append(style_.key_separator);
      write(items[i]->second, level + 1);
    }
    close(items.empty(), level, "}");
  }

  void separate(bool first, int level) {
    if (!first) out.append(style_.item_separator);
    if (style_.indent >= 0) new_line(level);
  }

  void close(bool empty, int level, const char* mark) {
    if (style_.indent >= 0 && !empty) new_line(level);
    out.append(mark);
  }

  void new_line(int level) {
    out.append("\n" +
               std::string(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level), ' '));
  }

  void quote(const Text& text) {
    out.append("\"");
    const std::string& bytes = text.bytes();
    std::size_t begin = 0;
    for (std::size_t at = 0; at < bytes.size(); at += code_point_length(bytes, at)) {
      const std::string escaped = escape(code_point(bytes, at));
      if (escaped.empty()) continue;
      out.append(text, begin, at);
      out.append(escaped, text.origin(at));
      begin = at + code_point_length(bytes, at);
    }
    out.append(text, begin, bytes.size());
    out.append("\"");
  }

  std::string escape(char32_t c) const {
    switch (c) {
      case '"':
        return "\\\"";
      case '\\':
        return "\\\\";
      case '\n':
        return "\\n";
      case '\r':
        return "\\r";
      case '\t':
        return "\\t";
      case '\f':
        return "\\f";
      case '\b':
        return "\\b";
      default:
        break;
    }
    if (c >= 0x20 && (c < 0x7F || !style_.ensure_ascii)) return "";
    if (c < 0x10000) return unit(c);
    return unit(0xD800 + ((c - 0x10000) >> 10)) + unit(0xDC00 + ((c - 0x10000) & 0x3FF));
  }

  static std::string unit(char32_t c) {
    char buffer[8];
    std::snprintf(buffer, sizeof buffer, "\\u%04x", static_cast<unsigned>(c & 0xFFFF));
    return buffer;
  }

  const JsonStyle& style_;
};

}  // namespace

Text to_json(const Value& value, const JsonStyle& style) {
  Writer writer(style);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace prefer::jinja
