// The filters and tests of templates.
#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>
#include <array>
#include <charconv>
#include <cmath>

namespace prefer::jinja {
namespace {

bool flag(const Value* value) { return value && value->truthy(); }
bool given(const Value* value) { return value && !value->is_none(); }

/// "a.b.0" walked from a value, as the attribute arguments of filters mean it.
Value walk(Machine& machine, Value value, const Value& path) {
  if (path.integer()) return machine.item(value, path);
  if (!path.text()) fail("an attribute must be a string, not ", path.type_name());
  const std::string dot = ".";
  for (const Text& part : split(*path.text(), &dot, -1)) {
    std::int64_t index = 0;
    const std::string& bytes = part.bytes();
    const auto read = std::from_chars(bytes.data(), bytes.data() + bytes.size(), index);
    const bool number = read.ec == std::errc() && read.ptr == bytes.data() + bytes.size() && index >= 0;
    value = machine.item(value, number ? Value::integer(index) : Value(part));
  }
  return value;
}

Value lower_case(const Value& value) {
  return value.text() ? Value(change_case(*value.text(), Case::lower)) : value;
}

Value to_json_filter(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("tojson", {"ensure_ascii", "indent", "separators", "sort_keys"});
  JsonStyle style;
  style.ensure_ascii = flag(bound[0]);
  const std::int64_t indent = given(bound[1]) ? whole(*bound[1], "tojson's indent") : -1;
  style.indent = static_cast<int>(std::clamp<std::int64_t>(indent, -1, 64));
  if (style.indent >= 0) style.item_separator = ",";
  if (given(bound[2])) {
    const std::vector<Value> pair = machine.iterate(*bound[2]);
    if (pair.size() != 2 || !pair[0].text() || !pair[1].text())
      fail("tojson's separators must be two strings");
    style.item_separator = pair[0].text()->bytes();
    style.key_separator = pair[1].text()->bytes();
  }
  style.sort_keys = flag(bound[3]);
  return machine.text(to_json(machine, value, style));
}

Value trim(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("trim", {"chars"});
  const Text text = to_text(value), chars = given(bound[0]) ? to_text(*bound[0]) : Text();
  machine.charge_search(text.size(), chars.size());
  return strip(text, Sides::both, given(bound[0]) ? &chars.bytes() : nullptr);
}

Value length(Machine&, const Value& value, const Arguments& arguments) {
  arguments.bind("length", {});
  if (value.is_undefined()) return Value::integer(0);
  std::size_t count = 0;
  if (value.text()) {
    count = code_points(value.text()->bytes()).size() - 1;
  } else if (value.list() && value.list()->kind != ListKind::lazy) {
    count = value.list()->items.size();
  } else if (value.dict()) {
    count = value.dict()->items.size();
  } else {
    fail(value.list() ? "what a filter yields has no length before | list"
                      : value.type_name() + " has no length");
  }
  return Value::integer(static_cast<std::int64_t>(count));
}

Value items(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind("items", {});
  if (!value.is_undefined() && !value.dict()) fail("items needs a dictionary, not ", value.type_name());
  std::vector<Value> out;
  if (value.dict()) {
    for (const auto& [key, item] : value.dict()->items)
      out.push_back(make_list({Value(key), item}, ListKind::tuple));
  }
  machine.charge(out.size());
  return make_list(std::move(out), ListKind::lazy);
}

Value string(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind("string", {});
  return machine.text(to_text(value));
}

Value fallback(Machine&, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("default", {"default_value", "boolean"});
  const bool missing = value.is_undefined() || (flag(bound[1]) && !value.truthy());
  if (!missing) return value;
  return bound[0] ? *bound[0] : Value(Text());
}

Value join(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("join", {"d", "attribute"});
  const Text between = bound[0] ? to_text(*bound[0]) : Text();
  Text out;
  bool first = true;
  for (const Value& item : machine.iterate(value)) {
    if (!first) out.append(between);
    first = false;
    out.append(to_text(given(bound[1]) ? walk(machine, item, *bound[1]) : item));
    machine.charge_bytes(between.size());
    if (out.size() > machine.limits().output_bytes) break;
  }
  return machine.text(std::move(out));
}

Value list(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind("list", {});
  return make_list(machine.iterate(value));
}

/// select, reject, selectattr, rejectattr.
template <bool keep, bool by_attribute>
Value choose(Machine& machine, const Value& value, const Arguments& arguments) {
  std::size_t used = 0;
  Value path;
  if (by_attribute) {
    if (arguments.given.empty()) fail("selectattr and rejectattr need an attribute");
    path = arguments.given[used++];
  }
  std::string test;
  if (arguments.given.size() > used) test = to_text(arguments.given[used++]).bytes();
  Arguments rest;
  rest.given.assign(arguments.given.begin() + static_cast<std::ptrdiff_t>(used), arguments.given.end());
  rest.named = arguments.named;
  std::vector<Value> out;
  for (const Value& item : machine.iterate(value)) {
    machine.charge(1);
    const Value seen = by_attribute ? walk(machine, item, path) : item;
    if ((test.empty() ? seen.truthy() : machine.test(test, seen, rest)) == keep) out.push_back(item);
  }
  return make_list(std::move(out), ListKind::lazy);
}

Value map(Machine& machine, const Value& value, const Arguments& arguments) {
  Arguments rest;
  const bool attribute = arguments.given.empty();
  const auto bound =
      attribute ? arguments.bind("map", {"attribute", "default"}) : std::vector<const Value*>{};
  if (attribute && !bound[0]) fail("map needs a filter or an attribute");
  if (!attribute) rest = {{arguments.given.begin() + 1, arguments.given.end()}, arguments.named};
  std::vector<Value> out;
  for (const Value& item : machine.iterate(value)) {
    machine.charge(1);
    if (!attribute) {
      out.push_back(machine.filter(to_text(arguments.given[0]).bytes(), item, rest));
      continue;
    }
    Value found = walk(machine, item, *bound[0]);
    out.push_back(found.is_undefined() && given(bound[1]) ? *bound[1] : std::move(found));
  }
  return make_list(std::move(out), ListKind::lazy);
}

Value dictsort(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("dictsort", {"case_sensitive", "by", "reverse"});
  if (!value.dict()) fail("dictsort needs a dictionary, not ", value.type_name());
  const std::size_t by = bound[1] && to_text(*bound[1]).bytes() == "value" ? 1 : 0;
  std::vector<std::pair<Value, Value>> keyed;
  for (const auto& [key, item] : value.dict()->items) {
    const Value sorted_by = by ? item : Value(key);
    keyed.emplace_back(flag(bound[0]) ? sorted_by : lower_case(sorted_by),
                       make_list({Value(key), item}, ListKind::tuple));
  }
  machine.charge(keyed.size() * 8);
  const bool reverse = flag(bound[2]);
  std::stable_sort(keyed.begin(), keyed.end(), [&](const auto& a, const auto& b) {
    return reverse ? less(b.first, a.first) : less(a.first, b.first);
  });
  std::vector<Value> out;
  for (auto& item : keyed) out.push_back(std::move(item.second));
  return make_list(std::move(out));
}

Value replace_filter(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"});
  if (!bound[0] || !bound[1]) fail("replace needs what to replace and with what");
  Arguments call;
  call.given = {Value(to_text(*bound[0])), Value(to_text(*bound[1]))};
  if (given(bound[2])) call.given.push_back(*bound[2]);
  return machine.call(*method(Value(to_text(value)), "replace"), call);
}

Value unique(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("unique", {"case_sensitive", "attribute"});
  std::vector<Value> keys, out;
  for (const Value& item : machine.iterate(value)) {
    Value key = given(bound[1]) ? walk(machine, item, *bound[1]) : item;
    if (!flag(bound[0])) key = lower_case(key);
    machine.charge((1 + keys.size()) * (1 + weight_of(key) / 256));
    if (std::any_of(keys.begin(), keys.end(), [&](const Value& known) { return equal(known, key); }))
      continue;
    keys.push_back(std::move(key));
    out.push_back(item);
  }
  return make_list(std::move(out), ListKind::lazy);
}

Value indent(Machine& machine, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("indent", {"width", "first", "blank"});
  if (!value.text()) fail("indent needs a string, not ", value.type_name());
  const Text* const written = bound[0] ? bound[0]->text() : nullptr;
  const std::int64_t width = written ? 0 : given(bound[0]) ? whole(*bound[0], "indent's width") : 4;
  if (width > 1024) fail("indent's width is over 1024");
  const Text margin =
      written ? *written : Text(std::string(static_cast<std::size_t>(std::max<std::int64_t>(width, 0)), ' '));
  Text text = *value.text();
  text.append("\n");
  Text out;
  bool first = true;
  for (const Text& line : split_lines(text)) {
    if (!first) out.append("\n");
    if (first ? flag(bound[1]) : (flag(bound[2]) || !line.empty())) out.append(margin);
    out.append(line);
    first = false;
    if (out.size() > machine.limits().output_bytes) break;
  }
  return machine.text(std::move(out));
}

template <bool from_end>
Value end_item(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind(from_end ? "last" : "first", {});
  const std::vector<Value> all = machine.iterate(value);
  if (all.empty()) return Undefined{from_end ? "the last item of nothing" : "the first item of nothing"};
  return from_end ? all.back() : all.front();
}

Value reverse(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind("reverse", {});
  const Value back = Value::integer(-1);
  if (value.text()) return slice(machine, value, nullptr, nullptr, &back);
  std::vector<Value> all = machine.iterate(value);
  std::reverse(all.begin(), all.end());
  return make_list(std::move(all), ListKind::lazy);
}

template <Case to>
Value case_filter(Machine& machine, const Value& value, const Arguments& arguments) {
  arguments.bind("a change of case", {});
  return machine.text(change_case(to_text(value), to));
}

Value same(Machine&, const Value& value, const Arguments& arguments) {
  arguments.bind("safe", {});
  return to_text(value);
}

template <class Number>
std::optional<Number> read_all_of(std::string_view text) {
  Number read{};
  const auto result = std::from_chars(text.data(), text.data() + text.size(), read);
  if (result.ec != std::errc() || result.ptr != text.data() + text.size()) return std::nullopt;
  return read;
}

Value truncated(double number) {
  if (!std::isfinite(number)) fail("int of a number that is not finite");
  if (std::abs(number) >= 0x1p63) fail("int of ", float_repr(number), " does not fit 64 bits");
  return Value::integer(static_cast<std::int64_t>(number));
}

/// As Jinja2 has it, a text that is no integer is read as a number: "3.7" is 3.
Value to_integer(Machine&, const Value& value, const Arguments& arguments) {
  const auto bound = arguments.bind("int", {"default"});
  if (value.integer()) return Value::integer(*value.integer());
  if (value.number()) return truncated(*value.number());
  const std::string bare = value.text() ? strip(*value.text(), Sides::both).bytes() : "";
  std::string_view text = bare;
  if (text.starts_with('+') && !text.starts_with("+-")) text.remove_prefix(1);  // from_chars knows no plus
  if (const auto integer = read_all_of<std::int64_t>(text)) return Value::integer(*integer);
  const auto number = read_all_of<double>(text);
  if (number && std::isfinite(*number)) return truncated(*number);
  return bound[0] ? *bound[0] : Value::integer(0);
}

constexpr std::array<std::pair<std::string_view, Filter>, 28> kFilters = {{
    {"tojson", to_json_filter},
    {"trim", trim},
    {"length", length},
    {"count", length},
    {"items", items},
    {"string", string},
    {"safe", same},
    {"default", fallback},
    {"d", fallback},
    {"join", join},
    {"list", list},
    {"select", choose<true, false>},
    {"reject", choose<false, false>},
    {"selectattr", choose<true, true>},
    {"rejectattr", choose<false, true>},
    {"map", map},
    {"dictsort", dictsort},
    {"replace", replace_filter},
    {"unique", unique},
    {"indent", indent},
    {"first", end_item<false>},
    {"last", end_item<true>},
    {"reverse", reverse},
    {"lower", case_filter<Case::lower>},
    {"upper", case_filter<Case::upper>},
    {"capitalize", case_filter<Case::capitalize>},
    {"title", case_filter<Case::words>},
    {"int", to_integer},
}};

}  // namespace

Filter find_filter(std::string_view name) {
  const auto* found =
      std::find_if(kFilters.begin(), kFilters.end(), [&](const auto& f) { return f.first == name; });
  return found == kFilters.end() ? nullptr : found->second;
}

}  // namespace prefer::jinja
