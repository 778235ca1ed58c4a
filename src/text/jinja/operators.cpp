// Arithmetic and slices of templates, as Python has them.
#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>
#include <cmath>

namespace prefer::jinja {
namespace {

[[noreturn]] void refuse(const std::string& op, const Value& a, const Value& b) {
  fail(a.type_name(), " ", op, " ", b.type_name(), " is not possible");
}

std::int64_t floor_divide(std::int64_t a, std::int64_t b) {
  return a / b - ((a % b != 0) && ((a < 0) != (b < 0)));
}

std::int64_t power(std::int64_t base, std::int64_t exponent) {
  std::int64_t out = 1;
  for (; exponent > 0 && base != 1; --exponent) {
    if (base == 0) return 0;
    if (base == -1) return exponent % 2 ? -1 : 1;
    if (__builtin_mul_overflow(out, base, &out)) fail("the result of ** does not fit 64 bits");
  }
  return out;
}

Value integers(const std::string& op, std::int64_t a, std::int64_t b) {
  if ((op == "/" || op == "//" || op == "%") && b == 0) fail("division by zero");
  // The machine cannot divide the least integer by -1.
  if (b == -1 && op == "//") return integers("-", 0, a);
  if (b == -1 && op == "%") return Value::integer(0);
  if (op == "/") return Value::number(static_cast<double>(a) / static_cast<double>(b));
  if (op == "//") return Value::integer(floor_divide(a, b));
  if (op == "%") return Value::integer(a - floor_divide(a, b) * b);
  if (op == "**") {
    if (b < 0) return Value::number(std::pow(static_cast<double>(a), static_cast<double>(b)));
    return Value::integer(power(a, b));
  }
  std::int64_t out = 0;
  const bool over = op == "+"   ? __builtin_add_overflow(a, b, &out)
                    : op == "-" ? __builtin_sub_overflow(a, b, &out)
                                : __builtin_mul_overflow(a, b, &out);
  if (over) fail("the result of ", op, " does not fit 64 bits");
  return Value::integer(out);
}

Value numbers(const std::string& op, double a, double b) {
  if ((op == "/" || op == "//" || op == "%") && b == 0) fail("division by zero");
  if (op == "+") return Value::number(a + b);
  if (op == "-") return Value::number(a - b);
  if (op == "*") return Value::number(a * b);
  if (op == "/") return Value::number(a / b);
  if (op == "//") return Value::number(std::floor(a / b));
  if (op == "**") return Value::number(std::pow(a, b));
  const double rest = std::fmod(a, b);
  return Value::number(rest != 0 && (rest < 0) != (b < 0) ? rest + b : rest);
}

Value repeat(Machine& machine, const Value& value, std::int64_t times) {
  const auto count = static_cast<std::uint64_t>(std::max<std::int64_t>(times, 0));
  if (value.text()) {
    if (count != 0 && value.text()->size() > machine.limits().output_bytes / count) {
      fail("the template makes a text of more than ", machine.limits().output_bytes, " bytes");
    }
    Text out;
    machine.charge(count);
    for (std::uint64_t i = 0; i < count; ++i) out.append(*value.text());
    return machine.text(std::move(out));
  }
  const std::vector<Value>& items = value.list()->items;
  if (count != 0 && items.size() > machine.limits().steps / count) machine.charge(machine.limits().steps + 1);
  machine.charge(items.size() * count);
  std::vector<Value> out;
  for (std::uint64_t i = 0; i < count; ++i) out.insert(out.end(), items.begin(), items.end());
  return make_list(std::move(out), value.list()->kind);
}

bool sequence(const Value& value) {
  return value.text() || (value.list() && value.list()->kind != ListKind::lazy);
}

struct Bounds {
  std::int64_t start, stop, step;
};

/// Python's slice.indices(size).
Bounds bounds(std::int64_t size, const Value* start, const Value* stop, const Value* step) {
  const auto part = [](const Value* value, std::int64_t fallback) {
    if (!value || value->is_none()) return fallback;
    const auto integer = value->integer();
    if (!integer) fail("slices need integers, not ", value->type_name());
    return *integer;
  };
  const std::int64_t by = part(step, 1);
  if (by == 0) fail("a slice's step can't be 0");
  const std::int64_t low = by > 0 ? 0 : -1, high = by > 0 ? size : size - 1;
  const auto clamp = [&](const Value* value, std::int64_t fallback) {
    if (!value || value->is_none()) return fallback;
    const std::int64_t at = part(value, 0);
    return std::clamp(at < 0 ? at + size : at, low, high);
  };
  return {clamp(start, by > 0 ? low : high), clamp(stop, by > 0 ? high : low), by};
}

}  // namespace

Value arithmetic(Machine& machine, const std::string& op, const Value& a, const Value& b) {
  if (a.integer() && b.integer()) return integers(op, *a.integer(), *b.integer());
  if (a.number() && b.number()) return numbers(op, *a.number(), *b.number());
  if (op == "*" && sequence(a) && b.integer()) return repeat(machine, a, *b.integer());
  if (op == "*" && sequence(b) && a.integer()) return repeat(machine, b, *a.integer());
  if (op == "%" && a.text()) fail("formatting strings with % is not supported");
  if (op != "+" || !sequence(a) || !sequence(b) || !a.text() != !b.text()) refuse(op, a, b);
  if (a.text()) {
    Text out = *a.text();
    out.append(*b.text());
    return machine.text(std::move(out));
  }
  if (a.list()->kind != b.list()->kind) refuse(op, a, b);
  std::vector<Value> items = a.list()->items;
  items.insert(items.end(), b.list()->items.begin(), b.list()->items.end());
  machine.charge(items.size());
  return make_list(std::move(items), a.list()->kind);
}

Value slice(Machine& machine, const Value& value, const Value* start, const Value* stop, const Value* step) {
  if (!sequence(value)) fail(value.type_name(), " can't be sliced");
  const std::vector<std::size_t> offsets = value.text()
                                               ? code_points(value.text()->bytes())
                                               : std::vector<std::size_t>(value.list()->items.size() + 1);
  const auto size = static_cast<std::int64_t>(offsets.size()) - 1;
  machine.charge(1 + offsets.size() / 16);
  const Bounds cut = bounds(size, start, stop, step);
  if (value.text() && cut.step == 1) {
    const auto begin = static_cast<std::size_t>(cut.start),
               end = static_cast<std::size_t>(std::max(cut.start, cut.stop));
    return value.text()->slice(offsets[begin], offsets[end]);
  }
  Text text;
  std::vector<Value> items;
  for (std::int64_t i = cut.start; cut.step > 0 ? i < cut.stop : i > cut.stop;) {
    machine.charge(1);
    const auto at = static_cast<std::size_t>(i);
    if (value.text()) {
      text.append(*value.text(), offsets[at], offsets[at + 1]);
    } else {
      items.push_back(value.list()->items[at]);
    }
    if (__builtin_add_overflow(i, cut.step, &i)) break;
  }
  if (value.text()) return text;
  return make_list(std::move(items), value.list()->kind);
}

}  // namespace prefer::jinja
