// The functions templates see, and the methods of strings and dictionaries.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "src/text/jinja/machine.hpp"

#include <array>
#include <ctime>

namespace prefer::jinja {
namespace {

Value function(std::string name, std::function<Value(Machine&, const Arguments&)> body) {
  return std::make_shared<const Callable>(Callable{std::move(name), std::move(body)});
}

const Text& string(const Value& value, const char* what) {
  if (!value.text()) fail(what, " must be a string, not ", value.type_name());
  return *value.text();
}

Value range(Machine& machine, const Arguments& arguments) {
  const auto bound = arguments.bind("range", {"start", "stop", "step"});
  if (!bound[0]) fail("range needs an end");
  const std::int64_t start = bound[1] ? whole(*bound[0], "range's start") : 0;
  const std::int64_t stop = whole(bound[1] ? *bound[1] : *bound[0], "range's end");
  const std::int64_t step = bound[2] ? whole(*bound[2], "range's step") : 1;
  if (step == 0) fail("range's step can't be 0");
  std::vector<Value> items;
  for (std::int64_t i = start; step > 0 ? i < stop : i > stop;) {
    if (static_cast<std::int64_t>(items.size()) >= machine.limits().range) {
      fail("range is longer than ", machine.limits().range);
    }
    machine.charge(1);
    items.push_back(Value::integer(i));
    if (__builtin_add_overflow(i, step, &i)) break;
  }
  return make_list(std::move(items));
}

Value make_namespace(Machine& machine, const Arguments& arguments) {
  auto space = std::make_shared<Namespace>();
  for (const Value& given : arguments.given) {
    if (!given.dict()) fail("namespace takes a dictionary, not ", given.type_name());
    for (const auto& [key, value] : given.dict()->items) space->set(key.bytes(), value);
  }
  for (const auto& [key, value] : arguments.named) space->set(key, value);
  machine.charge(space->items.size());
  return space;
}

Value make_dictionary(Machine& machine, const Arguments& arguments) {
  std::vector<std::pair<Text, Value>> items;
  if (arguments.given.size() > 1) fail("dict takes at most 1 argument without a name");
  if (!arguments.given.empty()) {
    if (!arguments.given[0].dict()) fail("dict takes a dictionary, not ", arguments.given[0].type_name());
    items = arguments.given[0].dict()->items;
  }
  for (const auto& [key, value] : arguments.named) {
    Value* known = nullptr;
    for (auto& item : items) {
      if (item.first.bytes() == key) known = &item.second;
    }
    if (known) {
      *known = value;
    } else {
      items.emplace_back(Text(key), value);
    }
  }
  machine.charge(items.size());
  return make_dict(std::move(items));
}

Value raise(Machine&, const Arguments& arguments) {
  fail("the template refuses: ",
       utf8::one_line(arguments.given.empty() ? std::string() : to_text(arguments.given[0]).bytes()));
}

Value strftime_now(Machine& machine, const Arguments& arguments) {
  const auto bound = arguments.bind("strftime_now", {"format"});
  if (!bound[0]) fail("strftime_now needs a format");
  const std::string format = string(*bound[0], "strftime_now's format").bytes();
  if (format.size() > 256) fail("strftime_now's format is longer than 256 bytes");
  if (format.empty()) return Text();
  const auto seconds = static_cast<std::time_t>(*machine.now());
  std::tm parts{};
  gmtime_r(&seconds, &parts);
  char buffer[16384];
  return make_text({buffer, std::strftime(buffer, sizeof buffer, format.c_str(), &parts)});
}

// Methods of strings.

using Method = Value (*)(Machine&, const Text&, const Arguments&);

template <Sides sides>
Value strip_method(Machine&, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("strip", {"chars"});
  const bool given = bound[0] && !bound[0]->is_none();
  return strip(self, sides, given ? &string(*bound[0], "strip's characters").bytes() : nullptr);
}

template <Case to>
Value case_method(Machine&, const Text& self, const Arguments& arguments) {
  arguments.bind("a change of case", {});
  return change_case(self, to);
}

template <bool at_end>
Value affix_method(Machine&, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind(at_end ? "endswith" : "startswith", {"affix"});
  if (!bound[0]) fail("startswith and endswith need a string");
  const auto fits = [&](const Value& affix) {
    const std::string& wanted = string(affix, "an affix").bytes();
    return at_end ? self.bytes().ends_with(wanted) : self.bytes().starts_with(wanted);
  };
  if (!bound[0]->list()) return Value::boolean(fits(*bound[0]));
  for (const Value& affix : bound[0]->list()->items) {
    if (fits(affix)) return Value::boolean(true);
  }
  return Value::boolean(false);
}

template <bool from_right>
Value split_method(Machine& machine, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("split", {"sep", "maxsplit"});
  const std::int64_t limit = bound[1] ? whole(*bound[1], "split's limit") : -1;
  const bool at_space = !bound[0] || bound[0]->is_none();
  if (!at_space && string(*bound[0], "split's separator").empty())
    fail("split needs a separator that is not empty");
  if (from_right && at_space && limit >= 0) fail("rsplit at white space with a limit is not supported");
  const std::vector<Text> parts = at_space     ? split(self, nullptr, limit)
                                  : from_right ? split_right(self, bound[0]->text()->bytes(), limit)
                                               : split(self, &bound[0]->text()->bytes(), limit);
  machine.charge(parts.size());
  return make_list({parts.begin(), parts.end()});
}

Value replace_method(Machine& machine, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("replace", {"old", "new", "count"});
  if (!bound[0] || !bound[1]) fail("replace needs what to replace and with what");
  const Text& with = string(*bound[1], "replace's new text");
  const std::string& old = string(*bound[0], "replace's old text").bytes();
  const std::size_t places = old.empty() ? self.size() + 1 : self.size() / old.size();
  if (with.size() != 0 && places > machine.limits().output_bytes / with.size()) {
    fail("replace could make a text of more than ", machine.limits().output_bytes, " bytes");
  }
  return machine.text(replace(self, old, with, bound[2] ? whole(*bound[2], "replace's count") : -1));
}

Value join_method(Machine& machine, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("join", {"items"});
  if (!bound[0]) fail("join needs items");
  Text out;
  bool first = true;
  for (const Value& item : machine.iterate(*bound[0])) {
    if (!first) out.append(self);
    first = false;
    out.append(string(item, "an item to join"));
    if (out.size() > machine.limits().output_bytes) break;
  }
  return machine.text(std::move(out));
}

Value find_method(Machine&, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("find", {"sub"});
  if (!bound[0]) fail("find needs a string");
  const std::size_t at = self.bytes().find(string(*bound[0], "what find looks for").bytes());
  if (at == std::string::npos) return Value::integer(-1);
  return Value::integer(
      static_cast<std::int64_t>(code_points(std::string_view(self.bytes()).substr(0, at)).size()) - 1);
}

Value count_method(Machine&, const Text& self, const Arguments& arguments) {
  const auto bound = arguments.bind("count", {"sub"});
  if (!bound[0] || string(*bound[0], "what count looks for").empty())
    fail("count needs a string that is not empty");
  return Value::integer(static_cast<std::int64_t>(split(self, &bound[0]->text()->bytes(), -1).size()) - 1);
}

Value splitlines_method(Machine& machine, const Text& self, const Arguments& arguments) {
  arguments.bind("splitlines", {});
  const std::vector<Text> lines = split_lines(self);
  machine.charge(lines.size());
  return make_list({lines.begin(), lines.end()});
}

constexpr std::array<std::pair<std::string_view, Method>, 17> kStringMethods = {{
    {"strip", strip_method<Sides::both>},
    {"lstrip", strip_method<Sides::left>},
    {"rstrip", strip_method<Sides::right>},
    {"lower", case_method<Case::lower>},
    {"upper", case_method<Case::upper>},
    {"capitalize", case_method<Case::capitalize>},
    {"title", case_method<Case::title>},
    {"startswith", affix_method<false>},
    {"endswith", affix_method<true>},
    {"split", split_method<false>},
    {"rsplit", split_method<true>},
    {"replace", replace_method},
    {"join", join_method},
    {"find", find_method},
    {"count", count_method},
    {"splitlines", splitlines_method},
    {"format",
     [](Machine&, const Text&, const Arguments&) -> Value { fail("method format is not supported"); }},
}};

std::optional<Value> string_method(const Value& value, const std::string& name) {
  for (const auto& [known, body] : kStringMethods) {
    if (known != name) continue;
    const auto run = body;
    return function(name, [value, run](Machine& machine, const Arguments& arguments) {
      std::size_t wanted = 0;
      for (const Value& given : arguments.given) wanted += weight_of(given);
      for (const auto& [_, given] : arguments.named) wanted += weight_of(given);
      machine.charge_search(value.text()->size(), wanted);
      return run(machine, *value.text(), arguments);
    });
  }
  return std::nullopt;
}

// Methods of dictionaries.

Value get_method(const Dict& self, const Arguments& arguments) {
  const auto bound = arguments.bind("get", {"key", "default"});
  if (!bound[0]) fail("get needs a key");
  const Value* found = bound[0]->text() ? self.find(bound[0]->text()->bytes()) : nullptr;
  return found ? *found : bound[1] ? *bound[1] : Value(None{});
}

std::optional<Value> dict_method(const Value& value, const std::string& name) {
  if (name == "get") {
    return function(
        name, [value](Machine&, const Arguments& arguments) { return get_method(*value.dict(), arguments); });
  }
  const bool keys = name == "keys" || name == "items", values = name == "values" || name == "items";
  if (!keys && !values) return std::nullopt;
  return function(name, [value, keys, values](Machine& machine, const Arguments& arguments) {
    arguments.bind("keys, values and items", {});
    std::vector<Value> out;
    for (const auto& [key, item] : value.dict()->items) {
      if (keys && values) {
        out.push_back(make_list({Value(key), item}, ListKind::tuple));
      } else {
        out.push_back(keys ? Value(key) : item);
      }
    }
    machine.charge(out.size());
    return make_list(std::move(out));
  });
}

}  // namespace

std::optional<Value> global(const std::string& name, const Machine& machine) {
  if (name == "range") return function(name, range);
  if (name == "namespace") return function(name, make_namespace);
  if (name == "dict") return function(name, make_dictionary);
  if (name == "raise_exception") return function(name, raise);
  if (name == "strftime_now") {
    if (machine.now()) return function(name, strftime_now);
    return Undefined{"strftime_now, which chat_template_date=YYYY-MM-DD defines"};
  }
  return std::nullopt;
}

std::optional<Value> method(const Value& value, const std::string& name) {
  if (value.text()) return string_method(value, name);
  if (value.dict()) return dict_method(value, name);
  return std::nullopt;
}

}  // namespace prefer::jinja
