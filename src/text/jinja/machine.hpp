// The tree-walking evaluator of templates, with its scopes and its limits.
#pragma once

#include "prefer/text/template.hpp"
#include "src/text/jinja/ast.hpp"

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

namespace prefer::jinja {

/// Names in a block. Loop iterations, macros and captured blocks have their own; branches do not.
struct Scope {
  std::shared_ptr<Scope> parent;
  std::vector<std::pair<std::string, Value>> names;
  Value* find(std::string_view name);
  void set(std::string_view name, Value value);
};

class Machine {
 public:
  Machine(const std::string& name, const TemplateLimits& limits, std::optional<std::int64_t> now);

  void define(std::string_view name, Value value) { scope_->set(name, std::move(value)); }
  Text run(const std::vector<Stmt>& program);

  /// Counts work against the limit on steps; `bytes` are counted in portions.
  void charge(std::uint64_t steps);
  void charge_bytes(std::size_t bytes) { charge(1 + bytes / 256); }
  /// A search that may compare all of `wanted` at each of `bytes`.
  void charge_search(std::size_t bytes, std::size_t wanted) { charge((1 + bytes / 256) * (1 + wanted / 64)); }
  void check_size(const Text& made) const;
  /// A text made by the template, checked against the limit on output.
  Value text(Text made);

  Value call(const Value& callee, const Arguments& arguments);
  Value filter(const std::string& name, const Value& operand, const Arguments& arguments);
  bool test(const std::string& name, const Value& operand, const Arguments& arguments);
  /// What a `for` would walk over.
  std::vector<Value> iterate(const Value& value);
  /// Jinja2's `value[key]` and `value.key`.
  Value item(const Value& value, const Value& key);
  Value attribute(const Value& value, const std::string& name);
  /// Python's `item in container`.
  bool contains(const Value& container, const Value& item);
  const TemplateLimits& limits() const { return limits_; }
  std::optional<std::int64_t> now() const { return now_; }

 private:
  enum class Flow { on, leave, next };

  Flow execute(const std::vector<Stmt>& body, Text& out);
  Flow execute(const Stmt& stmt, Text& out);
  Flow loop(const Stmt& stmt, Text& out);
  void set_block(const Stmt& stmt);
  Text capture(const std::vector<Stmt>& body);
  void define_macro(const Stmt& stmt);
  Value call_macro(const Stmt& stmt, const Arguments& arguments);
  void assign(const Expr& target, const Value& value);
  Value filtered(const Expr& chain, Value block);

  Value evaluate(const Expr& expr);
  Value evaluate_unchecked(const Expr& expr);
  Value evaluate_arithmetic(const Expr& expr);
  Value evaluate_logic(const Expr& expr);  ///< not, and, or, if else, ~
  Value evaluate_parts(const Expr& expr);
  Value evaluate_dict(const Expr& expr);
  Value evaluate_slice(const Expr& expr);
  Value evaluate_compare(const Expr& expr);
  Value name(const Expr& expr);
  Arguments arguments(const Expr& expr);

  /// Adds the place to errors raised below that have none yet.
  template <class Body>
  auto located(const Place& place, const Body& body);

  const std::string& name_;
  const TemplateLimits limits_;
  const std::optional<std::int64_t> now_;
  std::shared_ptr<Scope> scope_;
  std::uint64_t steps_ = 0;
  int depth_ = 0;
  int macro_depth_ = 0;
};

/// A function every template sees (range, dict, namespace, raise_exception, strftime_now), or nothing.
std::optional<Value> global(const std::string& name, const Machine& machine);
/// A method of a string or dictionary bound to it, or nothing.
std::optional<Value> method(const Value& value, const std::string& name);
/// Python's a + b, a * b and so on; `~` and comparisons are elsewhere.
Value arithmetic(Machine& machine, const std::string& op, const Value& a, const Value& b);
/// Python's value[start:stop:step] of a list or string.
Value slice(Machine& machine, const Value& value, const Value* start, const Value* stop, const Value* step);

using Filter = Value (*)(Machine&, const Value&, const Arguments&);
using Test = bool (*)(Machine&, const Value&, const Arguments&);
Filter find_filter(std::string_view name);  ///< null when there is none
Test find_test(std::string_view name);      ///< null when there is none

}  // namespace prefer::jinja
