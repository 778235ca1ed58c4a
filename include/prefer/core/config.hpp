// Closed configs: a struct declares each field once, in describe(Fields&); visitors read, override, write,
// explain and hash it. Unknown keys, wrong types and values outside a rule are errors with the path.
#pragma once

#include "prefer/core/json.hpp"

#include <cstdint>
#include <functional>
#include <limits>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace prefer {

/// What a value may be. Combine with &: `positive() & required()`.
struct Rule {
  double low = -std::numeric_limits<double>::infinity();
  double high = std::numeric_limits<double>::infinity();
  bool above_low = false;                 ///< low itself is not allowed
  std::vector<std::string> choices = {};  ///< for strings; empty: any
  bool named = false;                     ///< a file or folder: not an empty text
  bool required = false;                  ///< must be given and not be empty, as there is no sensible default
  bool free = false;  ///< what the user writes for a model: may hold what looks like a secret

  std::string text() const;  ///< "> 0", "0 .. 0.5", "dpo | ipo", ...
};
Rule positive();
Rule non_negative();
Rule at_least(double low);
Rule within(double low, double high);  ///< both ends included
Rule one_of(std::vector<std::string> choices);
Rule path();       ///< of a file or folder
Rule free_text();  ///< for a model to read, whatever it holds
Rule required();
Rule operator&(Rule a, const Rule& b);

/// The types a field may have. An empty optional is null in JSON.
using FieldValue =
    std::variant<bool*, std::int32_t*, std::int64_t*, double*, std::string*, std::vector<std::string>*,
                 std::optional<std::int64_t>*, std::optional<double>*, std::optional<std::string>*>;
struct FieldInfo {
  std::string_view name;
  std::string_view help;  ///< one line
  Rule rule;
};

/// The visitor that describe() receives. A reading visitor has set the value when the call returns, so a
/// describe may first declare a name and then what that name selects (choice() does, and explains all
/// alternatives).
class Fields {
 public:
  struct Choice {
    std::string name;
    std::function<void(Fields&)> describe;
  };
  virtual ~Fields() = default;

  template <class T>
  requires std::constructible_from<FieldValue, T*>
  void operator()(std::string_view name, T& value, std::string_view help, Rule rule = {}) {
    field({name, help, std::move(rule)}, &value);
  }

  /// The fields of `group`, under `name.`.
  template <class Group>
  requires requires(Group& group, Fields& fields) { group.describe(fields); }
  void group(std::string_view name, Group& group) {
    enter(name);
    group.describe(*this);
    leave();
  }

  /// A field `name` that selects one of `choices`, then the fields of the selected one, beside it. Where an
  /// override selects another than the file does, what the file says of that one's fields is left.
  virtual void choice(std::string_view name, std::string& selected, std::string_view help,
                      const std::vector<Choice>& choices);

 protected:
  virtual void field(const FieldInfo& info, FieldValue value) = 0;
  virtual void enter(std::string_view name) = 0;
  virtual void leave() = 0;
};

using Describe = std::function<void(Fields&)>;

/// Texts of `key.path=value` by path. A list is `a,b` or a JSON array; null empties an optional.
using Overrides = std::map<std::string, std::string>;

/// Sets the fields that the file (an object, or null for none) and the overrides (they win) give. Errors
/// start with `origin: path: ` or `path=value: `; nothing is left half checked: unknown keys and missing ones
/// are errors too.
void read_fields(const Describe& describe, const Json& file, const Overrides& overrides,
                 const std::string& origin);
/// Every field in order.
Json write_fields(const Describe& describe);
/// Each key with its default, rule and help, aligned, a line each.
std::string explain_fields(const Describe& describe);

/// A config from JSON text that was parsed, with overrides; what is not given keeps its default. A config may
/// have `void check() const`, which throws Error where its fields do not work together.
template <class Config>
Config read_config(const Json& file, const Overrides& overrides = {}, const std::string& origin = "config") {
  Config config;
  read_fields([&](Fields& f) { config.describe(f); }, file, overrides, origin);
  if constexpr (requires { config.check(); }) config.check();
  return config;
}

/// The resolved config: all keys, in the order of describe.
template <class Config>
Json config_json(Config config) {
  return write_fields([&](Fields& f) { config.describe(f); });
}

/// Throws Error where a field does not keep its rule, as read_config does for what stands in a file: a config
/// may be filled in by hand.
template <class Config>
void check_fields(Config config) {
  read_fields([&](Fields& f) { config.describe(f); }, config_json(config), {}, "config");
}

/// SHA-256 of a resolved config.
std::string config_hash(const Json& resolved);

/// What a program was started with: `program [config.json] key.path=value ...`, or `--help`.
struct Arguments {
  std::string program;
  std::string config;  ///< path, or empty
  Overrides overrides;
  bool help = false;
};
/// Throws Error on any other form. The last of two overrides of one key wins.
Arguments parse_arguments(int argc, const char* const* argv);
/// Null for an empty path. At most 1 MiB, 64 deep.
Json read_config_file(const std::string& path);

/// Thrown by read_program_arguments for --help; run_program (program.hpp) prints it.
struct HelpAsked {
  std::string text;
};

template <class Config>
Config read_program_arguments(int argc, const char* const* argv) {
  const Arguments arguments = parse_arguments(argc, argv);
  if (arguments.help) {
    Config defaults;
    throw HelpAsked{"usage: " + arguments.program + " [config.json] [key.path=value ...]\n\n" +
                    explain_fields([&](Fields& f) { defaults.describe(f); })};
  }
  const std::string origin = arguments.config.empty() ? arguments.program : arguments.config;
  return read_config<Config>(read_config_file(arguments.config), arguments.overrides, origin);
}

/// The known word nearest to `word`, or "" when none is near: at most a third of its letters differ.
std::string nearest(std::string_view word, const std::vector<std::string>& known);

}  // namespace prefer
