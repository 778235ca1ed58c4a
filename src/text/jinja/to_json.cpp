// The tojson filter: json.dumps with ensure_ascii off, and every byte's origin kept.
#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>
#include <cmath>
#include <cstdio>

namespace prefer::jinja {
namespace {

class Writer {
 public:
  Writer(const Machine& machine, const JsonStyle& style) : machine_(machine), style_(style) {}
  Text out;

  void write(const Value& value, int level) {
    if (value.is_none()) return put("null");
    if (const bool* truth = value.boolean()) return put(*truth ? "true" : "false");
    if (const auto integer = value.integer()) return put(std::to_string(*integer));
    if (const auto number = value.number()) return write_number(*number);
    if (value.text()) return quote(*value.text());
    if (value.list() && value.list()->kind != ListKind::lazy) return write_list(*value.list(), level);
    if (value.dict()) return write_dict(*value.dict(), level);
    fail("tojson can't write ", value.type_name());
  }

 private:
  void put(const Text& text) {
    out.append(text);
    machine_.check_size(out);  // an indent makes much of little, so the end would be too late
  }
  void put(std::string_view bytes, Origin origin = {}) {
    out.append(bytes, origin);
    machine_.check_size(out);
  }

  void write_number(double value) {
    if (std::isfinite(value)) return put(float_repr(value));
    put(std::isnan(value) ? "NaN" : value < 0 ? "-Infinity" : "Infinity");
  }

  void write_list(const List& list, int level) {
    put("[");
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
    put("{");
    for (std::size_t i = 0; i < items.size(); ++i) {
      separate(i == 0, level + 1);
      quote(items[i]->first);
      put(style_.key_separator);
      write(items[i]->second, level + 1);
    }
    close(items.empty(), level, "}");
  }

  void separate(bool first, int level) {
    if (!first) put(style_.item_separator);
    if (style_.indent >= 0) new_line(level);
  }

  void close(bool empty, int level, const char* mark) {
    if (style_.indent >= 0 && !empty) new_line(level);
    put(mark);
  }

  void new_line(int level) {
    put("\n" + std::string(static_cast<std::size_t>(style_.indent) * static_cast<std::size_t>(level), ' '));
  }

  void quote(const Text& text) {
    put("\"");
    const std::string& bytes = text.bytes();
    std::size_t begin = 0;
    for (std::size_t at = 0; at < bytes.size(); at += code_point_length(bytes, at)) {
      const std::string escaped = escape(code_point(bytes, at));
      if (escaped.empty()) continue;
      put(text.slice(begin, at));
      put(escaped, text.origin(at));
      begin = at + code_point_length(bytes, at);
    }
    put(text.slice(begin, bytes.size()));
    put("\"");
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

  const Machine& machine_;
  const JsonStyle& style_;
};

}  // namespace

Text to_json(const Machine& machine, const Value& value, const JsonStyle& style) {
  Writer writer(machine, style);
  writer.write(value, 0);
  return std::move(writer.out);
}

}  // namespace prefer::jinja
