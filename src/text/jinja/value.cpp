// Values of the template interpreter: making, comparing and writing them as Python does.
#include "src/text/jinja/value.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <charconv>
#include <cmath>

namespace prefer::jinja {

std::optional<std::int64_t> Value::integer() const {
  if (const bool* truth = boolean()) return *truth ? 1 : 0;
  if (const auto* value = std::get_if<std::int64_t>(&held_)) return *value;
  return std::nullopt;
}

std::optional<double> Value::number() const {
  if (const auto* value = std::get_if<double>(&held_)) return *value;
  if (const auto value = integer()) return static_cast<double>(*value);
  return std::nullopt;
}

std::string Value::type_name() const {
  static constexpr const char* kNames[] = {"undefined",   "none",      "a boolean", "an integer",
                                           "a number",    "a string",  "a list",    "a dictionary",
                                           "a namespace", "a function"};
  return is_undefined() ? "undefined (" + undefined_name() + ")" : kNames[held_.index()];
}

bool Value::truthy() const {
  if (is_undefined() || is_none()) return false;
  if (const auto value = number()) return *value != 0;
  if (text()) return !text()->empty();
  if (list()) return list()->kind == ListKind::lazy || !list()->items.empty();
  if (dict()) return !dict()->items.empty();
  return true;
}

const Value* Dict::find(std::string_view key) const {
  for (const auto& [name, value] : items) {
    if (name.bytes() == key) return &value;
  }
  return nullptr;
}

Value* Namespace::find(std::string_view key) {
  for (auto& [name, value] : items) {
    if (name == key) return &value;
  }
  return nullptr;
}

void Namespace::set(std::string_view key, Value value) {
  if (value.space()) fail("a namespace can't be kept inside a namespace");
  if (Value* known = find(key)) {
    *known = std::move(value);
  } else {
    items.emplace_back(key, std::move(value));
  }
}

std::vector<const Value*> Arguments::bind(const char* callee,
                                          std::initializer_list<const char*> parameters) const {
  if (given.size() > parameters.size()) {
    fail(callee, " takes at most ", parameters.size(), " arguments, not ", given.size());
  }
  std::vector<const Value*> bound(parameters.size(), nullptr);
  for (std::size_t i = 0; i < given.size(); ++i) bound[i] = &given[i];
  for (const auto& [name, value] : named) {
    const auto* at =
        std::find_if(parameters.begin(), parameters.end(), [&](const char* p) { return name == p; });
    if (at == parameters.end()) fail(callee, " has no argument named ", name);
    const Value*& slot = bound[static_cast<std::size_t>(at - parameters.begin())];
    if (slot) fail(callee, " got its argument ", name, " twice");
    slot = &value;
  }
  return bound;
}

namespace {

int depth_of(const Value& value) {
  if (value.space()) fail("a namespace can't be kept inside a list or dictionary");
  return value.list() ? value.list()->depth : value.dict() ? value.dict()->depth : 0;
}

int checked(int depth) {
  if (depth > kMaxNesting) fail("lists and dictionaries nest deeper than ", kMaxNesting);
  return depth;
}

std::uint64_t checked(std::uint64_t weight) {
  if (weight > kMaxWeight) fail("lists and dictionaries hold more than ", kMaxWeight, " values and bytes");
  return weight;
}

/// Python's repr() of a string; characters it would escape as unprintable beyond Latin-1 are kept.
Text quote(const Text& text) {
  const std::string& bytes = text.bytes();
  const bool with_double = bytes.find('\'') != std::string::npos && bytes.find('"') == std::string::npos;
  const char mark = with_double ? '"' : '\'';
  Text out(std::string_view(&mark, 1));
  for (std::size_t at = 0; at < bytes.size(); at += code_point_length(bytes, at)) {
    const char32_t c = code_point(bytes, at);
    const Origin origin = text.origin(at);
    char escaped[8];
    if (c == '\\' || c == static_cast<char32_t>(mark)) {
      out.append(std::string("\\") + static_cast<char>(c), origin);
    } else if (c == '\n' || c == '\r' || c == '\t') {
      out.append(c == '\n' ? "\\n" : c == '\r' ? "\\r" : "\\t", origin);
    } else if (c < 0x20 || (c >= 0x7F && c <= 0xA0) || c == 0xAD) {
      std::snprintf(escaped, sizeof escaped, "\\x%02x", static_cast<unsigned>(c));
      out.append(escaped, origin);
    } else {
      out.append(text, at, at + code_point_length(bytes, at));
    }
  }
  out.append(std::string_view(&mark, 1));
  return out;
}

Text repr(const Value& value);

Text repr_items(const List& list) {
  const bool tuple = list.kind == ListKind::tuple;
  Text out(tuple ? "(" : "[");
  for (std::size_t i = 0; i < list.items.size(); ++i) {
    if (i) out.append(", ");
    out.append(repr(list.items[i]));
  }
  out.append(!tuple ? "]" : list.items.size() == 1 ? ",)" : ")");
  return out;
}

Text repr(const Value& value) {
  if (value.is_undefined()) return Text("Undefined");
  if (value.is_none()) return Text("None");
  if (const bool* truth = value.boolean()) return Text(*truth ? "True" : "False");
  if (const auto integer = value.integer()) return Text(std::to_string(*integer));
  if (const auto number = value.number()) return Text(float_repr(*number));
  if (value.text()) return quote(*value.text());
  if (value.list() && value.list()->kind != ListKind::lazy) return repr_items(*value.list());
  if (!value.dict()) fail(value.type_name(), " has no text");
  Text out("{");
  for (const auto& [key, item] : value.dict()->items) {
    if (out.size() > 1) out.append(", ");
    out.append(quote(key));
    out.append(": ");
    out.append(repr(item));
  }
  out.append("}");
  return out;
}

}  // namespace

std::uint64_t weight_of(const Value& value) {
  if (value.text()) return 1 + value.text()->size();
  return value.list() ? value.list()->weight : value.dict() ? value.dict()->weight : 1;
}

Value make_list(std::vector<Value> items, ListKind kind) {
  auto list = std::make_shared<List>();
  for (const Value& item : items) {
    list->depth = std::max(list->depth, checked(depth_of(item) + 1));
    list->weight = checked(list->weight + weight_of(item));
  }
  list->items = std::move(items);
  list->kind = kind;
  return std::shared_ptr<const List>(std::move(list));
}

Value make_dict(std::vector<std::pair<Text, Value>> items) {
  auto dict = std::make_shared<Dict>();
  for (const auto& [key, item] : items) {
    dict->depth = std::max(dict->depth, checked(depth_of(item) + 1));
    dict->weight = checked(dict->weight + key.size() + weight_of(item));
  }
  dict->items = std::move(items);
  return std::shared_ptr<const Dict>(std::move(dict));
}

Value make_text(std::string_view bytes) { return Text(bytes); }

Value from_json(const Json& json, std::int32_t source) {
  switch (json.type()) {
    case Json::Type::null:
      return None{};
    case Json::Type::boolean:
      return Value::boolean(json.as_bool());
    case Json::Type::integer:
      return Value::integer(json.as_integer());
    case Json::Type::number:
      return Value::number(json.as_number());
    case Json::Type::string:
      return Text(json.as_string(), source);
    case Json::Type::array: {
      std::vector<Value> items;
      for (const Json& item : json.as_array()) items.push_back(from_json(item, source));
      return make_list(std::move(items));
    }
    case Json::Type::object:
      break;
  }
  std::vector<std::pair<Text, Value>> items;
  for (const auto& [key, item] : json.as_object())
    items.emplace_back(Text(key, source), from_json(item, source));
  return make_dict(std::move(items));
}

std::int64_t whole(const Value& value, const char* what) {
  const auto integer = value.integer();
  if (!integer) fail(what, " must be an integer, not ", value.type_name());
  return *integer;
}

bool equal(const Value& a, const Value& b) {
  if (a.is_undefined() || b.is_undefined()) return a.is_undefined() && b.is_undefined();
  if (a.is_none() || b.is_none()) return a.is_none() && b.is_none();
  if (a.integer() && b.integer()) return *a.integer() == *b.integer();
  if (a.number() && b.number()) return *a.number() == *b.number();
  if (a.text() && b.text()) return a.text()->bytes() == b.text()->bytes();
  if (a.list() && b.list()) {
    return (a.list()->kind == ListKind::tuple) == (b.list()->kind == ListKind::tuple) &&
           std::equal(a.list()->items.begin(), a.list()->items.end(), b.list()->items.begin(),
                      b.list()->items.end(), equal);
  }
  if (a.dict() && b.dict()) {
    if (a.dict()->items.size() != b.dict()->items.size()) return false;
    return std::all_of(a.dict()->items.begin(), a.dict()->items.end(), [&](const auto& item) {
      const Value* other = b.dict()->find(item.first.bytes());
      return other && equal(item.second, *other);
    });
  }
  return (a.space() && a.space() == b.space()) || (a.callable() && a.callable() == b.callable());
}

bool less(const Value& a, const Value& b) {
  if (a.integer() && b.integer()) return *a.integer() < *b.integer();
  if (a.number() && b.number()) return *a.number() < *b.number();
  if (a.text() && b.text()) return a.text()->bytes() < b.text()->bytes();
  fail(a.type_name(), " and ", b.type_name(), " have no order");
}

Text to_text(const Value& value) {
  if (value.text()) return *value.text();
  return value.is_undefined() ? Text() : repr(value);
}

std::string float_repr(double value) {
  if (std::isnan(value)) return "nan";
  if (std::isinf(value)) return value < 0 ? "-inf" : "inf";
  char buffer[64];
  const auto scientific = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::scientific);
  const std::string text(buffer, scientific.ptr);
  const int exponent = std::stoi(text.substr(text.find('e') + 1));
  if (exponent < -4 || exponent >= 16) return text;  // to_chars and repr() agree on this form
  const auto fixed = std::to_chars(buffer, buffer + sizeof buffer, value, std::chars_format::fixed);
  const std::string plain(buffer, fixed.ptr);
  return plain.find('.') == std::string::npos ? plain + ".0" : plain;
}

}  // namespace prefer::jinja
