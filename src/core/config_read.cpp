// Reads configs: from JSON, overridden by key.path=value, with every error saying the path.
#include "prefer/core/config.hpp"
#include "src/core/config_names.hpp"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <cmath>
#include <limits>
#include <stdexcept>

namespace prefer {
namespace {

std::string joined(const std::vector<std::string>& words) {
  std::string text;
  for (const std::string& word : words) text += (text.empty() ? "" : ", ") + word;
  return text;
}

std::string join_key(const std::string& group, std::string_view name) {
  return group.empty() ? std::string(name) : group + "." + std::string(name);
}

/// The first letters of a key's words: "lr" of learning_rate.
std::string initials(std::string_view key) {
  std::string letters;
  for (std::size_t at = 0; at < key.size(); ++at)
    if (at == 0 || key[at - 1] == '_') letters += key[at];
  return letters;
}

/// A key whose value one would not want in a log.
bool names_secret(std::string_view key) {
  std::string lower;
  for (const char c : key) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  for (const char* word : {"token", "secret", "passw", "api_key", "apikey", "credential"})
    if (lower.find(word) != std::string::npos) return true;
  return false;
}

/// scheme://user:password@host
bool holds_user_info(std::string_view text) {
  for (std::size_t at = text.find("://"); at != std::string_view::npos; at = text.find("://", at + 3)) {
    const std::string_view authority = text.substr(at + 3, text.find_first_of("/?# ", at + 3) - (at + 3));
    if (authority.find('@') != std::string_view::npos) return true;
  }
  return false;
}

/// Where a value came from: what errors about it start with, and the value as JSON.
struct Given {
  std::string place;
  Json value;

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(place, ": ", parts...);
  }
  [[noreturn]] void wrong_type(const char* wanted) const {
    refuse("expected ", wanted, ", found ", value.type_name(),
           value.is_null() || value.is_array() || value.is_object() ? "" : " " + shown());
  }
  std::string shown() const { return value.is_string() ? quote(value.as_string()) : dump(value); }
};

void check_number(const Given& given, const Rule& rule, double number) {
  const bool low = rule.above_low ? number > rule.low : number >= rule.low;
  if (low && number <= rule.high) return;
  Rule range = rule;
  range.required = false;  // it was given
  given.refuse("must be ", range.text(), ", not ", given.shown());
}

void check_text(const Given& given, const Rule& rule, const std::string& text) {
  if (!rule.free && holds_user_info(text)) {
    const std::size_t value = given.place.find('=');
    fail(value == std::string::npos ? given.place : given.place.substr(0, value) + "=...",
         ": a URL with a user or password; a config holds no secrets");
  }
  if ((rule.required || rule.named) && text.empty()) given.refuse("must not be empty");
  if (rule.choices.empty() || std::ranges::find(rule.choices, text) != rule.choices.end()) return;
  const std::string near = nearest(text, rule.choices);
  given.refuse("must be one of ", joined(rule.choices), ", not ", quote(text),
               near.empty() ? "" : "; did you mean " + near + "?");
}

void assign(bool& to, const Given& given, const Rule&) {
  if (!given.value.is_bool()) given.wrong_type("true or false");
  to = given.value.as_bool();
}

void assign(std::int64_t& to, const Given& given, const Rule& rule) {
  if (!given.value.is_integer()) given.wrong_type("an integer");
  to = given.value.as_integer();
  check_number(given, rule, static_cast<double>(to));
}

void assign(std::int32_t& to, const Given& given, const Rule& rule) {
  std::int64_t wide = 0;
  assign(wide, given, rule);
  if (!std::in_range<std::int32_t>(wide)) given.refuse(wide, " does not fit 32 signed bits");
  to = static_cast<std::int32_t>(wide);
}

void assign(double& to, const Given& given, const Rule& rule) {
  if (!given.value.is_number()) given.wrong_type("a number");
  to = given.value.as_number();
  if (!std::isfinite(to)) given.refuse("must be finite, not ", to);  // a file cannot say it, a program can
  check_number(given, rule, to);
}

void assign(std::string& to, const Given& given, const Rule& rule) {
  if (!given.value.is_string()) given.wrong_type("a string");
  check_text(given, rule, given.value.as_string());
  to = given.value.as_string();
}

void assign(std::vector<std::string>& to, const Given& given, const Rule& rule) {
  if (given.value.is_string()) {  // one item needs no brackets
    std::string item;
    assign(item, given, rule);
    to = {item};
    return;
  }
  if (!given.value.is_array()) given.wrong_type("a list of strings");
  to.clear();
  for (const Json& item : given.value.as_array()) assign(to.emplace_back(), Given{given.place, item}, rule);
}

template <class T>
void assign(std::optional<T>& to, const Given& given, const Rule& rule) {
  if (given.value.is_null())
    to.reset();
  else
    assign(to.emplace(), given, rule);
}

/// The text after the = of an override, as JSON of the kind the field wants; what does not fit stays a
/// string, which assign() then refuses.
Json value_of(const std::string& text, const FieldValue& field) {
  const auto number = [&]() -> Json {
    const char* const end = text.data() + text.size();
    std::int64_t whole = 0;
    if (const auto [at, error] = std::from_chars(text.data(), end, whole); error == std::errc() && at == end)
      return Json(whole);
    double real = 0;
    const auto [at, error] = std::from_chars(text.data(), end, real);
    return error == std::errc() && at == end && std::isfinite(real) ? Json(real) : Json(text);
  };
  const auto list = [&]() -> Json {
    if (text.starts_with('[')) return parse_json(text, "list", JsonLimits::config());
    Json items = Json::array();
    for (std::size_t begin = 0; !text.empty() && begin <= text.size();) {
      const std::size_t end = std::min(text.find(',', begin), text.size());
      items.push(text.substr(begin, end - begin));
      begin = end + 1;
    }
    return items;
  };
  const auto by_kind = [&](auto* kind) -> Json {
    using T = std::remove_pointer_t<decltype(kind)>;
    if constexpr (std::is_same_v<T, bool>)
      return text == "true" ? Json(true) : text == "false" ? Json(false) : Json(text);
    else if constexpr (std::is_same_v<T, std::string>)
      return Json(text);
    else if constexpr (std::is_same_v<T, std::vector<std::string>>)
      return list();
    else if constexpr (std::is_arithmetic_v<T>)
      return number();
    else if (text == "null")
      return Json();
    else
      return std::is_same_v<T, std::optional<std::string>> ? Json(text) : number();
  };
  return std::visit(by_kind, field);
}

/// The names of fields, whatever their values.
class Names : public Fields {
 public:
  std::vector<std::string> all;

 protected:
  void field(const FieldInfo& info, FieldValue) override { all.emplace_back(info.name); }
  void enter(std::string_view name) override { all.emplace_back(name); }
  void leave() override {}
};

class Reader : public Fields {
 public:
  Reader(const Json& file, const Overrides& overrides, std::string origin)
      : origin_(std::move(origin)), overrides_(overrides) {
    if (!file.is_null() && !file.is_object()) fail(origin_, ": expected an object, found ", file.type_name());
    groups_.push_back({"", file.is_null() ? nullptr : &file, {}});
    open_.push_back(0);
  }

  /// After the visit: what was given but is not known, and what is required but was not given.
  void finish() const {
    for (const Group& group : groups_) {
      if (!group.object) continue;
      for (const auto& [key, value] : group.object->as_object())
        if (!known(group, key) && given_in_file(group, key))
          unknown(group, key, origin_ + ": " + shown(join_key(group.path, key)));
    }
    for (const auto& [path, text] : overrides_)
      if (std::ranges::find(used_, path) == used_.end()) unknown_override(path, text);
    if (!missing_.empty()) fail(origin_, ": ", missing_);
  }

 protected:
  void field(const FieldInfo& info, FieldValue value) override {
    Group& group = groups_[open_.back()];
    const std::string path = join_key(group.path, info.name);
    if (known(group, info.name)) throw std::logic_error("config: the field " + path + " is declared twice");
    group.known.emplace_back(info.name);
    const auto set = [&](const Given& given) {
      std::visit([&](auto* to) { assign(*to, given, info.rule); }, value);
    };
    if (const auto text = overrides_.find(path); text != overrides_.end()) {
      used_.push_back(path);
      set({path + "=" + shown(text->second), value_of(text->second, value)});
    } else if (const Json* given = given_in_file(group, info.name)) {
      set({origin_ + ": " + path, *given});
    } else if (info.rule.required && missing_.empty()) {
      missing_ = path + ": is required (" + std::string(info.help) + ")";
    }
  }

  void enter(std::string_view name) override {
    Group& outer = groups_[open_.back()];
    const std::string path = join_key(outer.path, name);
    if (!known(outer, name)) outer.known.emplace_back(name);
    const Json* object = outer.object ? outer.object->find(name) : nullptr;
    if (object && !object->is_object())
      fail(origin_, ": ", path, ": expected an object, found ", object->type_name());
    const auto same = std::ranges::find(groups_, path, &Group::path);
    open_.push_back(static_cast<std::size_t>(same - groups_.begin()));
    if (same == groups_.end()) groups_.push_back({path, object, {}});
  }

  void leave() override { open_.pop_back(); }

  void choice(std::string_view name, std::string& selected, std::string_view help,
              const std::vector<Choice>& choices) override {
    Group& group = groups_[open_.back()];
    const Json* in_file = given_in_file(group, name);
    const std::string before = in_file && in_file->is_string() ? in_file->as_string() : selected;
    const auto text = overrides_.find(join_key(group.path, name));
    if (text != overrides_.end() && text->second != before)
      for (const Choice& former : choices)
        if (former.name == before) {
          Names names;
          former.describe(names);
          group.left = std::move(names.all);
        }
    Fields::choice(name, selected, help, choices);
  }

 private:
  struct Group {
    std::string path;
    const Json* object;
    std::vector<std::string> known;
    std::vector<std::string> left = {};  // what the file says of a choice that the overrides took back
  };

  static const Json* given_in_file(const Group& group, std::string_view key) {
    if (std::ranges::find(group.left, key) != group.left.end()) return nullptr;
    return group.object ? group.object->find(key) : nullptr;
  }

  static bool known(const Group& group, std::string_view key) {
    return std::ranges::find(group.known, key) != group.known.end();
  }

  static std::string shown(const std::string& text) {
    const std::string quoted = quote(text);
    return quoted == "\"" + text + "\"" ? text : quoted;
  }

  std::vector<const Group*> with_others(const Group& first) const {
    std::vector<const Group*> all = {&first};
    for (const Group& other : groups_)
      if (&other != &first) all.push_back(&other);
    return all;
  }

  bool known_path(std::string_view path) const {
    const std::size_t dot = path.rfind('.');
    const std::string_view group = dot == std::string_view::npos ? "" : path.substr(0, dot);
    const auto found = std::ranges::find(groups_, group, &Group::path);
    return found != groups_.end() && known(*found, path.substr(dot == std::string_view::npos ? 0 : dot + 1));
  }

  /// The path of the key that was meant: what TRL calls so, one like it in its group, of its name in another,
  /// of these initials or this first word in any, or like it in another.
  std::string meant(const Group& group, const std::string& key) const {
    for (const auto& [theirs, ours] : kNamesElsewhere)
      if (key == theirs && known_path(ours)) return std::string(ours);
    if (const std::string near = nearest(key, group.known); !near.empty()) return join_key(group.path, near);
    for (const Group& other : groups_)
      if (known(other, key)) return join_key(other.path, key);
    const auto abbreviated = [&](const std::string& name) {
      return key.size() > 1 && (initials(name) == key || name.starts_with(key + "_"));
    };
    for (const Group* in : with_others(group))
      if (const auto found = std::ranges::find_if(in->known, abbreviated); found != in->known.end())
        return join_key(in->path, *found);
    if (names_secret(key)) return "";
    for (const Group& other : groups_)
      if (const std::string near = nearest(key, other.known); !near.empty())
        return join_key(other.path, near);
    return "";
  }

  [[noreturn]] void unknown(const Group& group, const std::string& key, const std::string& place) const {
    const std::string near = meant(group, key);
    if (near.empty() && names_secret(key))
      fail(place, ": unknown key that looks like a secret; a config holds none; known are ",
           joined(group.known));
    fail(place, ": unknown key", near.empty() ? "" : "; did you mean " + near + "?",
         near.empty() ? "; " : " ", "known are ", joined(group.known));
  }

  [[noreturn]] void unknown_override(const std::string& path, const std::string& text) const {
    const std::string place = shown(path) + "=" + (names_secret(path) ? "..." : shown(text));
    std::string prefix;
    std::size_t begin = 0;
    const Group* group = &groups_.front();
    while (true) {
      const std::size_t end = std::min(path.find('.', begin), path.size());
      const std::string key = path.substr(begin, end - begin);
      if (!known(*group, key)) unknown(*group, key, place);
      prefix = join_key(prefix, key);
      const auto inner = std::ranges::find(groups_, prefix, &Group::path);
      if (inner == groups_.end()) fail(place, ": ", prefix, " is a key, not a group of keys");
      group = &*inner;
      if (end == path.size()) fail(place, ": ", prefix, " is a group of keys: ", joined(group->known));
      begin = end + 1;
    }
  }

  std::string origin_;
  const Overrides& overrides_;
  std::vector<Group> groups_;      // in the order of the visit
  std::vector<std::size_t> open_;  // indices into groups_
  std::vector<std::string> used_;  // overrides that found their field
  std::string missing_;            // the first required field that was not given
};

}  // namespace

void Fields::choice(std::string_view name, std::string& selected, std::string_view help,
                    const std::vector<Choice>& choices) {
  std::vector<std::string> names;
  for (const Choice& choice : choices) names.push_back(choice.name);
  (*this)(name, selected, help, one_of(names));
  for (const Choice& choice : choices)
    if (choice.name == selected) choice.describe(*this);
}

void read_fields(const Describe& describe, const Json& file, const Overrides& overrides,
                 const std::string& origin) {
  Reader reader(file, overrides, origin);
  describe(reader);
  reader.finish();
}

}  // namespace prefer
