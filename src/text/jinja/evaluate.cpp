// Expressions of templates.
#include "prefer/core/error.hpp"
#include "src/text/jinja/located.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>
#include <limits>

namespace prefer::jinja {
namespace {

constexpr int kMaxDepth = 1500;  // of evaluations inside each other: what a thread's stack surely holds

std::optional<Value> member(const Value& value, const std::string& name) {
  if (value.dict()) {
    if (const Value* found = value.dict()->find(name)) return *found;
  }
  if (value.space()) {
    if (const Value* found = value.space()->find(name)) return *found;
  }
  return std::nullopt;
}

bool ordered(const std::string& op, const Value& a, const Value& b) {
  if (op == "<") return less(a, b);
  if (op == ">") return less(b, a);
  return op == "<=" ? less(a, b) || equal(a, b) : less(b, a) || equal(a, b);
}

}  // namespace

Value Machine::evaluate(const Expr& expr) {
  return located(expr.place, [&] {
    charge(1);
    if (++depth_ > kMaxDepth) fail("the template nests deeper than ", kMaxDepth, " evaluations");
    Value value = evaluate_unchecked(expr);
    --depth_;
    return value;
  });
}

Value Machine::evaluate_unchecked(const Expr& expr) {
  switch (expr.kind) {
    case ExprKind::constant:
      return expr.constant;
    case ExprKind::name:
      return name(expr);
    case ExprKind::list:
    case ExprKind::tuple:
      return evaluate_parts(expr);
    case ExprKind::dict:
      return evaluate_dict(expr);
    case ExprKind::attribute:
      return attribute(evaluate(*expr.args[0]), expr.name);
    case ExprKind::item:
      return item(evaluate(*expr.args[0]), evaluate(*expr.args[1]));
    case ExprKind::slice:
      return evaluate_slice(expr);
    case ExprKind::call:
      return call(evaluate(*expr.args[0]), arguments(expr));
    case ExprKind::filter: {
      const Value operand = evaluate(*expr.args[0]);
      return filter(expr.name, operand, arguments(expr));
    }
    case ExprKind::test: {
      const Value operand = evaluate(*expr.args[0]);
      return Value::boolean(test(expr.name, operand, arguments(expr)));
    }
    case ExprKind::negate:
    case ExprKind::plus:
    case ExprKind::binary:
      return evaluate_arithmetic(expr);
    case ExprKind::compare:
      return evaluate_compare(expr);
    default:
      return evaluate_logic(expr);
  }
}

Value Machine::evaluate_arithmetic(const Expr& expr) {
  const Value first = evaluate(*expr.args[0]);
  if (expr.kind == ExprKind::binary) return arithmetic(*this, expr.name, first, evaluate(*expr.args[1]));
  return arithmetic(*this, expr.kind == ExprKind::negate ? "-" : "+", Value::integer(0), first);
}

Value Machine::evaluate_logic(const Expr& expr) {
  const auto part = [&](std::size_t i) { return evaluate(*expr.args[i]); };
  if (expr.kind == ExprKind::logical_not) return Value::boolean(!part(0).truthy());
  if (expr.kind == ExprKind::conditional) {
    if (part(0).truthy()) return part(1);
    return expr.args[2] ? part(2) : Value(Undefined{"the missing else"});
  }
  if (expr.kind == ExprKind::concat) {
    Text out;
    for (const ExprPtr& arg : expr.args) {
      out.append(to_text(evaluate(*arg)));
      check_size(out);
    }
    return text(std::move(out));
  }
  const Value left = part(0);
  return left.truthy() == (expr.kind == ExprKind::logical_and) ? part(1) : left;
}

Value Machine::name(const Expr& expr) {
  if (const Value* known = scope_->find(expr.name)) return *known;
  if (auto found = global(expr.name, *this)) return *found;
  return Undefined{expr.name};
}

Value Machine::evaluate_parts(const Expr& expr) {
  std::vector<Value> items;
  for (const ExprPtr& arg : expr.args) items.push_back(evaluate(*arg));
  return make_list(std::move(items), expr.kind == ExprKind::tuple ? ListKind::tuple : ListKind::list);
}

Value Machine::evaluate_dict(const Expr& expr) {
  std::vector<std::pair<Text, Value>> items;
  for (std::size_t i = 0; i < expr.args.size(); i += 2) {
    const Value key = evaluate(*expr.args[i]);
    if (!key.text()) fail("dictionary keys must be strings, not ", key.type_name());
    Value value = evaluate(*expr.args[i + 1]);
    const auto same = [&](const auto& item) { return item.first.bytes() == key.text()->bytes(); };
    const auto known = std::find_if(items.begin(), items.end(), same);
    if (known != items.end()) {
      known->second = std::move(value);
    } else {
      items.emplace_back(*key.text(), std::move(value));
    }
  }
  return make_dict(std::move(items));
}

Value Machine::evaluate_slice(const Expr& expr) {
  const Value value = evaluate(*expr.args[0]);
  Value parts[3];
  const Value* given[3] = {};
  for (int i = 0; i < 3; ++i) {
    if (!expr.args[static_cast<std::size_t>(i) + 1]) continue;
    parts[i] = evaluate(*expr.args[static_cast<std::size_t>(i) + 1]);
    given[i] = &parts[i];
  }
  return slice(*this, value, given[0], given[1], given[2]);
}

Value Machine::evaluate_compare(const Expr& expr) {
  Value left = evaluate(*expr.args[0]);
  for (std::size_t i = 0; i < expr.operators.size(); ++i) {
    const std::string& op = expr.operators[i];
    Value right = evaluate(*expr.args[i + 1]);
    charge_bytes(weight_of(left) + weight_of(right));
    const bool holds = op == "=="       ? equal(left, right)
                       : op == "!="     ? !equal(left, right)
                       : op == "in"     ? contains(right, left)
                       : op == "not in" ? !contains(right, left)
                                        : ordered(op, left, right);
    if (!holds) return Value::boolean(false);
    left = std::move(right);
  }
  return Value::boolean(true);
}

bool Machine::contains(const Value& container, const Value& item) {
  if (container.text()) {
    if (!item.text()) fail("in a string only strings can be looked for, not ", item.type_name());
    charge_search(container.text()->size(), item.text()->size());
    return container.text()->bytes().find(item.text()->bytes()) != std::string::npos;
  }
  if (container.dict()) return item.text() && container.dict()->find(item.text()->bytes());
  const std::vector<Value> items = iterate(container);
  charge(items.size() * (1 + weight_of(item) / 256));
  return std::any_of(items.begin(), items.end(), [&](const Value& one) { return equal(one, item); });
}

Arguments Machine::arguments(const Expr& expr) {
  Arguments out;
  for (std::size_t i = 1; i < expr.args.size(); ++i) out.given.push_back(evaluate(*expr.args[i]));
  for (const auto& [name, value] : expr.named) out.named.emplace_back(name, evaluate(*value));
  return out;
}

Value Machine::call(const Value& callee, const Arguments& arguments) {
  if (!callee.callable()) fail(callee.type_name(), " can't be called");
  return callee.callable()->body(*this, arguments);
}

Value Machine::filter(const std::string& name, const Value& operand, const Arguments& arguments) {
  const Filter found = find_filter(name);
  if (!found) fail("filter ", name, " is not supported");
  if (operand.text()) charge_bytes(operand.text()->size());
  return found(*this, operand, arguments);
}

bool Machine::test(const std::string& name, const Value& operand, const Arguments& arguments) {
  const Test found = find_test(name);
  if (!found) fail("test ", name, " is not supported");
  if (operand.text()) charge_bytes(operand.text()->size());
  return found(*this, operand, arguments);
}

std::vector<Value> Machine::iterate(const Value& value) {
  std::vector<Value> items;
  if (value.is_undefined()) return items;
  if (value.list()) {
    items = value.list()->items;
  } else if (value.dict()) {
    for (const auto& item : value.dict()->items) items.emplace_back(item.first);
  } else if (value.text()) {
    const std::vector<std::size_t> offsets = code_points(value.text()->bytes());
    charge(offsets.size());
    for (std::size_t i = 0; i + 1 < offsets.size(); ++i) {
      items.emplace_back(value.text()->slice(offsets[i], offsets[i + 1]));
    }
  } else {
    fail(value.type_name(), " can't be iterated");
  }
  charge(items.size());
  return items;
}

Value Machine::item(const Value& value, const Value& key) {
  if (value.is_undefined()) fail(value.type_name(), " has no items");
  if (const auto index = key.integer()) {
    const Value* none = nullptr;
    if (value.list() && value.list()->kind != ListKind::lazy) {
      const auto count = static_cast<std::int64_t>(value.list()->items.size());
      const std::int64_t at = *index < 0 ? *index + count : *index;
      if (at >= 0 && at < count) return value.list()->items[static_cast<std::size_t>(at)];
    } else if (value.text()) {
      if (*index == std::numeric_limits<std::int64_t>::max())
        return Undefined{"item " + std::to_string(*index)};
      const Value next = Value::integer(*index + 1);
      const Value one = slice(*this, value, &key, *index == -1 ? none : &next, nullptr);
      if (!one.text()->empty()) return one;
    }
    return Undefined{"item " + std::to_string(*index)};
  }
  if (!key.text()) return Undefined{"an item named by " + key.type_name()};
  if (auto found = member(value, key.text()->bytes())) return *found;
  if (auto found = method(value, key.text()->bytes())) return *found;
  return Undefined{key.text()->bytes()};
}

Value Machine::attribute(const Value& value, const std::string& name) {
  if (value.is_undefined()) fail(value.type_name(), " has no attribute ", name);
  if (auto found = method(value, name)) return *found;
  if (auto found = member(value, name)) return *found;
  return Undefined{name};
}

}  // namespace prefer::jinja
