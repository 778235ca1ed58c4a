// Parses the expressions of templates, with Jinja2's precedences.
#include "prefer/core/error.hpp"
#include "src/text/jinja/parser.hpp"

#include <algorithm>
#include <array>
#include <charconv>

namespace prefer::jinja {
namespace {

constexpr int kMaxHeight = 400;

/// Left-associative operators, loosest first; `~` stands between the first two levels.
constexpr std::array<std::array<std::string_view, 4>, 3> kBinary = {
    {{"+", "-"}, {"*", "/", "//", "%"}, {"**"}}};

std::vector<ExprPtr> operands(ExprPtr a, ExprPtr b = nullptr, ExprPtr c = nullptr) {
  std::vector<ExprPtr> out;
  out.push_back(std::move(a));
  if (b) out.push_back(std::move(b));
  if (c) out.push_back(std::move(c));
  return out;
}

}  // namespace

ExprPtr Parser::sealed(ExprPtr expr) {
  for (const ExprPtr& arg : expr->args) expr->height = std::max(expr->height, arg ? arg->height + 1 : 1);
  for (const auto& named : expr->named) expr->height = std::max(expr->height, named.second->height + 1);
  if (expr->height > kMaxHeight)
    stop(expr->place, "the expression nests deeper than " + std::to_string(kMaxHeight));
  return expr;
}

ExprPtr Parser::make(ExprKind kind, const Place& place, std::vector<ExprPtr> args) {
  auto expr = std::make_unique<Expr>();
  expr->kind = kind;
  expr->place = place;
  expr->args = std::move(args);
  return sealed(std::move(expr));
}

ExprPtr Parser::tuple(bool with_conditional) {
  const Place place = now().place;
  std::vector<ExprPtr> items;
  bool several = false;
  const auto ends = [&] {
    return now().kind == TokenKind::block_end || now().kind == TokenKind::output_end || is_mark(")") ||
           is_name("recursive");
  };
  while (!ends()) {
    items.push_back(with_conditional ? expression() : logical_or());
    if (!is_mark(",")) break;
    take();
    several = true;
  }
  if (items.size() == 1 && !several) return std::move(items.front());
  if (items.empty() && !is_mark(")")) stop(place, "expected an expression, not " + quote(now().text));
  return make(ExprKind::tuple, place, std::move(items));
}

ExprPtr Parser::expression() {
  const Level level(*this);
  ExprPtr value = logical_or();
  while (is_name("if")) {
    const Place place = take().place;
    std::vector<ExprPtr> args = operands(logical_or(), std::move(value));
    args.push_back(skip_name("else") ? expression() : nullptr);
    value = make(ExprKind::conditional, place, std::move(args));
  }
  return value;
}

ExprPtr Parser::logical_or() {
  ExprPtr left = logical_and();
  while (is_name("or")) {
    const Place place = take().place;
    left = make(ExprKind::logical_or, place, operands(std::move(left), logical_and()));
  }
  return left;
}

ExprPtr Parser::logical_and() {
  ExprPtr left = logical_not();
  while (is_name("and")) {
    const Place place = take().place;
    left = make(ExprKind::logical_and, place, operands(std::move(left), logical_not()));
  }
  return left;
}

ExprPtr Parser::logical_not() {
  if (!is_name("not")) return compare();
  const Level level(*this);
  const Place place = take().place;
  return make(ExprKind::logical_not, place, operands(logical_not()));
}

ExprPtr Parser::compare() {
  static constexpr std::string_view kOperators[] = {"==", "!=", "<", "<=", ">", ">="};
  const Place place = now().place;
  std::vector<ExprPtr> args = operands(binary(0));
  std::vector<std::string> operators;
  while (true) {
    if (std::any_of(std::begin(kOperators), std::end(kOperators), [&](auto op) { return is_mark(op); })) {
      operators.push_back(take().text);
    } else if (skip_name("in")) {
      operators.emplace_back("in");
    } else if (is_name("not") && ahead().kind == TokenKind::name && ahead().text == "in") {
      take();
      take();
      operators.emplace_back("not in");
    } else {
      break;
    }
    args.push_back(binary(0));
  }
  if (operators.empty()) return std::move(args.front());
  ExprPtr out = make(ExprKind::compare, place, std::move(args));
  out->operators = std::move(operators);
  return out;
}

ExprPtr Parser::binary(int level) {
  const auto operand = [&] { return level == 0 ? concat() : level == 1 ? binary(2) : unary(true); };
  ExprPtr left = operand();
  const auto here = [&] {
    const auto& marks = kBinary[static_cast<std::size_t>(level)];
    return now().kind == TokenKind::mark && std::find(marks.begin(), marks.end(), now().text) != marks.end();
  };
  while (here()) {
    const Token op = take();
    left = make(ExprKind::binary, op.place, operands(std::move(left), operand()));
    left->name = op.text;
  }
  return left;
}

ExprPtr Parser::concat() {
  const Place place = now().place;
  std::vector<ExprPtr> args = operands(binary(1));
  while (skip_mark("~")) args.push_back(binary(1));
  if (args.size() == 1) return std::move(args.front());
  return make(ExprKind::concat, place, std::move(args));
}

ExprPtr Parser::unary(bool with_filter) {
  const Level level(*this);
  ExprPtr node;
  if (is_mark("-") || is_mark("+")) {
    const Token op = take();
    node = make(op.text == "-" ? ExprKind::negate : ExprKind::plus, op.place, operands(unary(false)));
  } else {
    node = primary();
  }
  node = postfix(std::move(node));
  return with_filter ? filters(std::move(node)) : std::move(node);
}

ExprPtr Parser::primary() {
  const Token token = now();
  if (token.kind == TokenKind::name) return name();
  if (token.kind == TokenKind::string) return string();
  if (token.kind == TokenKind::integer || token.kind == TokenKind::number) return number();
  if (is_mark("[")) return list();
  if (is_mark("{")) return dict();
  if (!skip_mark("(")) stop(token.place, "expected an expression, not " + quote(token.text));
  ExprPtr inside = tuple();
  expect_mark(")");
  return inside;
}

ExprPtr Parser::constant(const Place& place, Value value) {
  ExprPtr out = make(ExprKind::constant, place);
  out->constant = std::move(value);
  return out;
}

ExprPtr Parser::name() {
  const Token token = take();
  if (token.text == "true" || token.text == "True") return constant(token.place, Value::boolean(true));
  if (token.text == "false" || token.text == "False") return constant(token.place, Value::boolean(false));
  if (token.text == "none" || token.text == "None") return constant(token.place, None{});
  ExprPtr out = make(ExprKind::name, token.place);
  out->name = token.text;
  return out;
}

ExprPtr Parser::string() {
  const Place place = now().place;
  std::string text;
  while (now().kind == TokenKind::string) text += take().text;
  return constant(place, make_text(text));
}

ExprPtr Parser::number() {
  const Token token = take();
  const auto read = [&](auto value, const std::string& beyond) {
    const auto end = std::from_chars(token.text.data(), token.text.data() + token.text.size(), value);
    if (end.ec != std::errc()) stop(token.place, beyond);
    return value;
  };
  if (token.kind == TokenKind::integer) {
    const std::string beyond = "integer " + token.text + " does not fit 64 bits";
    return constant(token.place, Value::integer(read(std::int64_t{0}, beyond)));
  }
  const std::string beyond = "number " + token.text + " is beyond the range of a double";
  return constant(token.place, Value::number(read(0.0, beyond)));
}

ExprPtr Parser::list() {
  const Place place = take().place;
  std::vector<ExprPtr> items;
  while (!is_mark("]")) {
    if (!items.empty()) expect_mark(",");
    if (is_mark("]")) break;
    items.push_back(expression());
  }
  expect_mark("]");
  return make(ExprKind::list, place, std::move(items));
}

ExprPtr Parser::dict() {
  const Place place = take().place;
  std::vector<ExprPtr> items;
  while (!is_mark("}")) {
    if (!items.empty()) expect_mark(",");
    if (is_mark("}")) break;
    items.push_back(expression());
    expect_mark(":");
    items.push_back(expression());
  }
  expect_mark("}");
  return make(ExprKind::dict, place, std::move(items));
}

ExprPtr Parser::postfix(ExprPtr operand) {
  while (true) {
    const Place place = now().place;
    if (skip_mark(".")) {
      const Token token = take();
      if (token.kind == TokenKind::integer) {
        ExprPtr index = constant(token.place, Value::integer(std::stoll(token.text.substr(0, 9))));
        operand = make(ExprKind::item, place, operands(std::move(operand), std::move(index)));
        continue;
      }
      if (token.kind != TokenKind::name) stop(token.place, "expected an attribute, not " + quote(token.text));
      operand = make(ExprKind::attribute, place, operands(std::move(operand)));
      operand->name = token.text;
    } else if (is_mark("[")) {
      operand = subscript(std::move(operand));
    } else if (is_mark("(")) {
      operand = make(ExprKind::call, place, operands(std::move(operand)));
      arguments(*operand);
      operand = sealed(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExprPtr Parser::subscript(ExprPtr operand) {
  const Place place = take().place;
  std::vector<ExprPtr> args = operands(std::move(operand));
  const auto part = [&] { return is_mark(":") || is_mark("]") ? nullptr : expression(); };
  ExprPtr first = part();
  if (is_mark("]")) {
    if (!first) stop(place, "expected an index");
    take();
    args.push_back(std::move(first));
    return make(ExprKind::item, place, std::move(args));
  }
  args.push_back(std::move(first));
  expect_mark(":");
  args.push_back(part());
  args.push_back(skip_mark(":") ? part() : nullptr);
  expect_mark("]");
  return make(ExprKind::slice, place, std::move(args));
}

ExprPtr Parser::filters(ExprPtr operand) {
  while (true) {
    if (skip_mark("|")) {
      operand = filter(std::move(operand));
    } else if (is_name("is")) {
      operand = test(std::move(operand));
    } else if (is_mark("(")) {
      operand = postfix(std::move(operand));
    } else {
      return operand;
    }
  }
}

ExprPtr Parser::filter(ExprPtr operand) {
  const Token token = expect(TokenKind::name, "a filter's name");
  ExprPtr out = make(ExprKind::filter, token.place);
  out->name = token.text;
  out->args.push_back(std::move(operand));
  if (is_mark("(")) arguments(*out);
  return sealed(std::move(out));
}

ExprPtr Parser::filter_chain() {
  ExprPtr chain = filter(nullptr);
  while (skip_mark("|")) chain = filter(std::move(chain));
  return chain;
}

ExprPtr Parser::test(ExprPtr operand) {
  const Place place = take().place;
  const bool negated = skip_name("not");
  const Token name = expect(TokenKind::name, "a test's name");
  ExprPtr out = make(ExprKind::test, name.place, operands(std::move(operand)));
  out->name = name.text;
  const bool argument =
      now().kind == TokenKind::string || now().kind == TokenKind::integer ||
      now().kind == TokenKind::number || is_mark("[") || is_mark("{") ||
      (now().kind == TokenKind::name && !is_name("else") && !is_name("or") && !is_name("and"));
  if (is_mark("(")) {
    arguments(*out);
  } else if (argument && is_name("is")) {
    stop(now().place, "tests can't be chained with is");
  } else if (argument && !is_name("if") && !is_name("in") && !is_name("not")) {
    out->args.push_back(postfix(primary()));
  }
  out = sealed(std::move(out));
  if (!negated) return out;
  return make(ExprKind::logical_not, place, operands(std::move(out)));
}

void Parser::arguments(Expr& call) {
  expect_mark("(");
  bool first = true;
  while (!is_mark(")")) {
    if (!first) expect_mark(",");
    if (is_mark(")")) break;
    first = false;
    if (is_mark("*") || is_mark("**")) stop(now().place, "unpacking arguments with * is not supported");
    if (now().kind == TokenKind::name && ahead().kind == TokenKind::mark && ahead().text == "=") {
      const std::string name = take().text;
      take();
      call.named.emplace_back(name, expression());
    } else if (!call.named.empty()) {
      stop(now().place, "an argument without a name follows a named one");
    } else {
      call.args.push_back(expression());
    }
  }
  expect_mark(")");
}

}  // namespace prefer::jinja
