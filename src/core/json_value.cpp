// Access to JSON values, with errors that say where the value stood, and their text form.
#include "prefer/core/json.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace prefer {

std::string JsonSource::place(std::size_t offset) const {
  const auto after = std::lower_bound(newlines.begin(), newlines.end(), offset);
  const std::size_t begin = after == newlines.begin() ? 0 : *(after - 1) + std::size_t{1};
  const std::size_t line = first_line + static_cast<std::size_t>(after - newlines.begin());
  return name + ":" + std::to_string(line) + ":" + std::to_string(offset - begin + 1);
}

const char* Json::type_name() const {
  static constexpr const char* kNames[] = {"null",     "a boolean", "an integer", "a number",
                                           "a string", "an array",  "an object"};
  return kNames[value_.index()];
}

std::string Json::place() const { return source_ ? source_->place(offset_) : "json"; }

void Json::wrong_type(const char* wanted) const { fail_here("expected ", wanted, ", found ", type_name()); }

bool Json::as_bool() const {
  if (!is_bool()) wrong_type("a boolean");
  return std::get<bool>(value_);
}

std::int64_t Json::as_integer() const {
  if (!is_integer()) wrong_type("an integer");
  return std::get<std::int64_t>(value_);
}

double Json::as_number() const {
  if (is_integer()) return static_cast<double>(std::get<std::int64_t>(value_));
  if (!is_number()) wrong_type("a number");
  return std::get<double>(value_);
}

const std::string& Json::as_string() const& {
  if (!is_string()) wrong_type("a string");
  return std::get<std::string>(value_);
}

const Json::Array& Json::as_array() const& {
  if (!is_array()) wrong_type("an array");
  return std::get<Array>(value_);
}

const Json::Object& Json::as_object() const& {
  if (!is_object()) wrong_type("an object");
  return std::get<Object>(value_);
}

Json::Array& Json::as_array() & { return const_cast<Array&>(std::as_const(*this).as_array()); }
Json::Object& Json::as_object() & { return const_cast<Object&>(std::as_const(*this).as_object()); }

const Json* Json::find(std::string_view key) const& {
  for (const auto& [name, value] : as_object())
    if (name == key) return &value;
  return nullptr;
}

const Json& Json::at(std::string_view key) const& {
  const Json* found = find(key);
  if (!found) fail_here(quote(key), " is missing");
  return *found;
}

const Json& Json::at(std::size_t index) const& {
  const Array& items = as_array();
  if (index >= items.size()) fail_here("item ", index, " is missing; the array has ", items.size());
  return items[index];
}

std::size_t Json::size() const { return is_object() ? as_object().size() : as_array().size(); }

Json& Json::set(std::string key, Json value) {
  if (is_null()) value_ = Object();
  Object& members = as_object();
  const auto found =
      std::find_if(members.begin(), members.end(), [&](const auto& member) { return member.first == key; });
  if (found != members.end())
    found->second = std::move(value);
  else
    members.emplace_back(std::move(key), std::move(value));
  return *this;
}

Json& Json::push(Json value) {
  if (is_null()) value_ = Array();
  as_array().push_back(std::move(value));
  return *this;
}

namespace {

struct Sequence {
  std::size_t bytes;  // at least 1
  bool valid;
};

/// The UTF-8 sequence that begins at text[i], or the longest beginning of one (Unicode 15, table 3-7), which
/// a reader replaces by one U+FFFD.
Sequence utf8_at(std::string_view text, std::size_t i) {
  const auto byte = [&](std::size_t at) {
    return at < text.size() ? static_cast<unsigned char>(text[at]) : 0u;
  };
  const unsigned lead = byte(i);
  if (lead < 0x80) return {1, true};
  if (lead < 0xc2 || lead > 0xf4) return {1, false};
  const std::size_t length = lead < 0xe0 ? 2 : lead < 0xf0 ? 3 : 4;
  const unsigned low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
  const unsigned high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
  if (byte(i + 1) < low || byte(i + 1) > high) return {1, false};
  for (std::size_t n = 2; n < length; ++n)
    if (byte(i + n) < 0x80 || byte(i + n) > 0xbf) return {n, false};
  return {length, true};
}

void write_ascii(std::string& out, char c) {
  static constexpr char kHex[] = "0123456789abcdef";
  const auto byte = static_cast<unsigned char>(c);
  switch (c) {
    case '"':
      out += "\\\"";
      break;
    case '\\':
      out += "\\\\";
      break;
    case '\n':
      out += "\\n";
      break;
    case '\r':
      out += "\\r";
      break;
    case '\t':
      out += "\\t";
      break;
    case '\b':
      out += "\\b";
      break;
    case '\f':
      out += "\\f";
      break;
    default:
      if (byte < 0x20)
        (out += "\\u00") += {kHex[byte >> 4], kHex[byte & 15]};
      else
        out += c;
  }
}

void write_string(std::string& out, std::string_view text) {
  out += '"';
  for (std::size_t i = 0; i < text.size();) {
    const auto [bytes, valid] = utf8_at(text, i);
    if (!valid)
      out += "\xef\xbf\xbd";
    else if (bytes == 1)
      write_ascii(out, text[i]);
    else
      out += text.substr(i, bytes);
    i += bytes;
  }
  out += '"';
}

void write_double(std::string& out, double value) {
  if (!std::isfinite(value)) fail("JSON has no ", value, "; a finite number is wanted");
  char text[32];
  const auto end = std::to_chars(text, text + sizeof text, value).ptr;
  const std::string_view digits(text, static_cast<std::size_t>(end - text));
  out += digits;
  if (digits.find_first_of(".e") == std::string_view::npos) out += ".0";
}

struct Writer {
  std::string& out;
  int indent;

  void new_line(int depth) {
    if (indent < 0) return;
    out += '\n';
    out.append(static_cast<std::size_t>(indent) * static_cast<std::size_t>(depth), ' ');
  }

  void array(const Json::Array& items, int depth) {
    out += '[';
    for (std::size_t i = 0; i < items.size(); ++i) {
      if (i > 0) out += ',';
      new_line(depth + 1);
      write(items[i], depth + 1);
    }
    if (!items.empty()) new_line(depth);
    out += ']';
  }

  void object(const Json::Object& members, int depth) {
    out += '{';
    for (std::size_t i = 0; i < members.size(); ++i) {
      if (i > 0) out += ',';
      new_line(depth + 1);
      write_string(out, members[i].first);
      out += indent < 0 ? ":" : ": ";
      write(members[i].second, depth + 1);
    }
    if (!members.empty()) new_line(depth);
    out += '}';
  }

  void write(const Json& json, int depth) {
    switch (json.type()) {
      case Json::Type::null:
        out += "null";
        break;
      case Json::Type::boolean:
        out += json.as_bool() ? "true" : "false";
        break;
      case Json::Type::integer:
        out += std::to_string(json.as_integer());
        break;
      case Json::Type::number:
        write_double(out, json.as_number());
        break;
      case Json::Type::string:
        write_string(out, json.as_string());
        break;
      case Json::Type::array:
        array(json.as_array(), depth);
        break;
      case Json::Type::object:
        object(json.as_object(), depth);
        break;
    }
  }
};

}  // namespace

std::string dump(const Json& json, int indent) {
  std::string out;
  Writer{out, indent}.write(json, 0);
  return out;
}

std::string quote(std::string_view text, std::size_t shown) {
  std::size_t end = std::min(text.size(), shown);
  while (end < text.size() && end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  std::string out;
  write_string(out, text.substr(0, end));
  if (end < text.size()) out += "...";
  return out;
}

}  // namespace prefer
