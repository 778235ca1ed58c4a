// The tests of templates: what stands after `is`.
#include "prefer/core/error.hpp"
#include "src/text/jinja/machine.hpp"

#include <algorithm>
#include <array>

namespace prefer::jinja {
namespace {

const Value& other(const Arguments& arguments) {
  const auto bound = arguments.bind("a test", {"other"});
  if (!bound[0]) fail("the test needs something to compare with");
  return *bound[0];
}

bool truth(const Value& value, bool wanted) { return value.boolean() && *value.boolean() == wanted; }

bool has_length(const Value& value) {
  return value.text() || value.dict() || (value.list() && value.list()->kind != ListKind::lazy);
}

bool odd(const Value& value) { return whole(value, "what is tested") % 2 != 0; }

bool divisible(const Value& value, const Value& by) {
  const std::int64_t number = whole(value, "what is tested"), divisor = whole(by, "a divisor");
  if (divisor == -1) return true;  // the machine cannot divide the least integer by it
  return divisor != 0 && number % divisor == 0;
}

/// As Python's islower and isupper, some letter has a case, and none the other one; letters whose case has no
/// other (ª, ĸ) have none here.
bool all_of_case(const Value& value, Case wanted, Case opposite) {
  const Text text = to_text(value);
  return change_case(text, wanted).bytes() == text.bytes() &&
         change_case(text, opposite).bytes() != text.bytes();
}

#define PREFER_TEST(expression)                                                                \
  [](Machine&, [[maybe_unused]] const Value& v, [[maybe_unused]] const Arguments& a) -> bool { \
    return expression;                                                                         \
  }

constexpr std::array<std::pair<std::string_view, Test>, 38> kTests = {{
    {"defined", PREFER_TEST(!v.is_undefined())},
    {"undefined", PREFER_TEST(v.is_undefined())},
    {"none", PREFER_TEST(v.is_none())},
    {"string", PREFER_TEST(v.text() != nullptr)},
    {"mapping", PREFER_TEST(v.dict() != nullptr)},
    {"iterable", PREFER_TEST(v.is_undefined() || v.text() || v.list() || v.dict())},
    {"sequence", PREFER_TEST(v.is_undefined() || has_length(v))},
    {"boolean", PREFER_TEST(v.boolean() != nullptr)},
    {"true", PREFER_TEST(truth(v, true))},
    {"false", PREFER_TEST(truth(v, false))},
    {"integer", PREFER_TEST(v.integer() && !v.boolean())},
    {"float", PREFER_TEST(v.is_float())},
    {"number", PREFER_TEST(v.number().has_value())},
    {"callable", PREFER_TEST(v.callable() != nullptr)},
    {"odd", PREFER_TEST(odd(v))},
    {"even", PREFER_TEST(!odd(v))},
    {"divisibleby", PREFER_TEST(divisible(v, other(a)))},
    {"lower", PREFER_TEST(all_of_case(v, Case::lower, Case::upper))},
    {"upper", PREFER_TEST(all_of_case(v, Case::upper, Case::lower))},
    {"==", PREFER_TEST(equal(v, other(a)))},
    {"eq", PREFER_TEST(equal(v, other(a)))},
    {"equalto", PREFER_TEST(equal(v, other(a)))},
    {"!=", PREFER_TEST(!equal(v, other(a)))},
    {"ne", PREFER_TEST(!equal(v, other(a)))},
    {"<", PREFER_TEST(less(v, other(a)))},
    {"lt", PREFER_TEST(less(v, other(a)))},
    {"lessthan", PREFER_TEST(less(v, other(a)))},
    {">", PREFER_TEST(less(other(a), v))},
    {"gt", PREFER_TEST(less(other(a), v))},
    {"greaterthan", PREFER_TEST(less(other(a), v))},
    {"<=", PREFER_TEST(less(v, other(a)) || equal(v, other(a)))},
    {"le", PREFER_TEST(less(v, other(a)) || equal(v, other(a)))},
    {">=", PREFER_TEST(less(other(a), v) || equal(v, other(a)))},
    {"ge", PREFER_TEST(less(other(a), v) || equal(v, other(a)))},
    {"in",
     [](Machine& machine, const Value& v, const Arguments& a) { return machine.contains(other(a), v); }},
    {"filter", PREFER_TEST(find_filter(to_text(v).bytes()) != nullptr)},
    {"test", PREFER_TEST(find_test(to_text(v).bytes()) != nullptr)},
    {"escaped", PREFER_TEST(false)},
}};

#undef PREFER_TEST

}  // namespace

Test find_test(std::string_view name) {
  const auto* found =
      std::find_if(kTests.begin(), kTests.end(), [&](const auto& t) { return t.first == name; });
  return found == kTests.end() ? nullptr : found->second;
}

}  // namespace prefer::jinja
