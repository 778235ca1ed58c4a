// Values of the template interpreter: what Jinja2 sees of Python, and no more.
#pragma once

#include "prefer/core/json.hpp"
#include "src/text/jinja/text.hpp"

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

namespace prefer::jinja {

struct List;
struct Dict;
struct Namespace;
struct Callable;

struct Undefined {
  std::string name;  ///< what was looked up in vain: for messages
};
struct None {};

/// Cheap to copy: text and containers are shared and, namespaces apart, immutable.
class Value {
 public:
  Value() : held_(Undefined{}) {}
  Value(Undefined value) : held_(std::move(value)) {}
  Value(None value) : held_(value) {}
  Value(Text text) : held_(std::make_shared<const Text>(std::move(text))) {}
  Value(std::shared_ptr<const List> list) : held_(std::move(list)) {}
  Value(std::shared_ptr<const Dict> dict) : held_(std::move(dict)) {}
  Value(std::shared_ptr<Namespace> space) : held_(std::move(space)) {}
  Value(std::shared_ptr<const Callable> callable) : held_(std::move(callable)) {}
  static Value boolean(bool value) { return Value(Held(value)); }
  static Value integer(std::int64_t value) { return Value(Held(value)); }
  static Value number(double value) { return Value(Held(value)); }

  bool is_undefined() const { return std::holds_alternative<Undefined>(held_); }
  bool is_none() const { return std::holds_alternative<None>(held_); }
  const bool* boolean() const { return std::get_if<bool>(&held_); }
  /// Python's int, of which bool is a kind.
  std::optional<std::int64_t> integer() const;
  bool is_float() const { return std::holds_alternative<double>(held_); }
  std::optional<double> number() const;  ///< int, bool or float
  const Text* text() const { return shared<const Text>(); }
  const List* list() const { return shared<const List>(); }
  const Dict* dict() const { return shared<const Dict>(); }
  Namespace* space() const { return shared<Namespace>(); }
  const Callable* callable() const { return shared<const Callable>(); }
  const std::string& undefined_name() const { return std::get<Undefined>(held_).name; }

  std::string type_name() const;  ///< as messages name it: "a string", "a list", ...
  bool truthy() const;

 private:
  using Held = std::variant<Undefined, None, bool, std::int64_t, double, std::shared_ptr<const Text>,
                            std::shared_ptr<const List>, std::shared_ptr<const Dict>,
                            std::shared_ptr<Namespace>, std::shared_ptr<const Callable>>;
  explicit Value(Held held) : held_(std::move(held)) {}
  template <class T>
  T* shared() const {
    const auto* pointer = std::get_if<std::shared_ptr<T>>(&held_);
    return pointer ? pointer->get() : nullptr;
  }
  Held held_;
};

enum class ListKind {
  list,
  tuple,
  lazy
};  ///< lazy: what is a generator in Python: always true, has no length

struct List {
  std::vector<Value> items;
  ListKind kind = ListKind::list;
  int depth = 1;
  std::uint64_t weight = 1;
};

struct Dict {
  std::vector<std::pair<Text, Value>> items;
  int depth = 1;
  std::uint64_t weight = 1;
  const Value* find(std::string_view key) const;
};

struct Namespace {
  std::vector<std::pair<std::string, Value>> items;
  Value* find(std::string_view key);
  void set(std::string_view key, Value value);
};

/// The arguments of a call, a filter or a test.
struct Arguments {
  std::vector<Value> given;
  std::vector<std::pair<std::string, Value>> named;
  /// Arguments by the names of their parameters; null where not given. Throws on one too many or unknown.
  std::vector<const Value*> bind(const char* callee, std::initializer_list<const char*> parameters) const;
};

class Machine;

struct Callable {
  std::string name;
  std::function<Value(Machine&, const Arguments&)> body;
};

/// Containers with their nesting depth and weight checked, so that no walk over a value recurses deeper or
/// takes longer: shared parts make a small value long to write.
inline constexpr int kMaxNesting = 160;
inline constexpr std::uint64_t kMaxWeight = std::uint64_t{1} << 26;
/// What a walk over a value passes: values, and bytes of text.
std::uint64_t weight_of(const Value& value);
Value make_list(std::vector<Value> items, ListKind kind = ListKind::list);
Value make_dict(std::vector<std::pair<Text, Value>> items);
Value make_text(std::string_view bytes);
Value from_json(const Json& json, std::int32_t source);

/// The integer that `what` must be; throws where `value` is none.
std::int64_t whole(const Value& value, const char* what);

bool equal(const Value& a, const Value& b);
/// Python's a < b for numbers and strings; throws for other pairs.
bool less(const Value& a, const Value& b);
/// Python's str(); throws for namespaces and functions.
Text to_text(const Value& value);
/// Python's json.dumps(value, ensure_ascii=False): indent < 0 means one line. Text keeps its origins.
struct JsonStyle {
  int indent = -1;
  bool ensure_ascii = false;
  bool sort_keys = false;
  std::string item_separator = ", ";
  std::string key_separator = ": ";
};
/// Throws as soon as the text is over the machine's limit on output.
Text to_json(const Machine& machine, const Value& value, const JsonStyle& style);
/// A double as Python's repr() writes it.
std::string float_repr(double value);

}  // namespace prefer::jinja
