// Parses the statements of templates.
#include "prefer/core/error.hpp"
#include "src/text/jinja/parser.hpp"

#include <algorithm>

namespace prefer::jinja {
namespace {

constexpr int kMaxDepth = 64;
constexpr int kMaxChain = 200;

}  // namespace

Parser::Level::Level(Parser& parser) : parser_(parser) {
  if (++parser_.depth_ > kMaxDepth) {
    parser_.stop(parser_.now().place, "the template nests deeper than " + std::to_string(kMaxDepth));
  }
}

void Parser::stop(const Place& place, const std::string& what) const {
  fail(name_, ":", place.line, ":", place.column, ": ", what);
}

bool Parser::skip_mark(std::string_view text) {
  if (!is_mark(text)) return false;
  take();
  return true;
}

bool Parser::skip_name(std::string_view text) {
  if (!is_name(text)) return false;
  take();
  return true;
}

const Token& Parser::expect(TokenKind kind, const char* what) {
  if (now().kind != kind) stop(now().place, std::string("expected ") + what + ", not " + quote(now().text));
  return take();
}

void Parser::expect_mark(std::string_view text) {
  if (!skip_mark(text)) stop(now().place, "expected " + std::string(text) + ", not " + quote(now().text));
}

std::vector<Stmt> Parser::statements(std::initializer_list<std::string_view> until) {
  const Level level(*this);
  std::vector<Stmt> out;
  while (now().kind != TokenKind::end) {
    const Token& token = take();
    if (token.kind == TokenKind::data) {
      out.push_back({.kind = StmtKind::data, .place = token.place, .data = Text(token.text)});
    } else if (token.kind == TokenKind::output_begin) {
      Stmt stmt{.kind = StmtKind::output, .place = token.place};
      stmt.value = tuple();
      expect(TokenKind::output_end, "}}");
      out.push_back(std::move(stmt));
    } else if (std::any_of(until.begin(), until.end(),
                           [&](std::string_view name) { return is_name(name); })) {
      return out;
    } else {
      out.push_back(statement());
    }
  }
  if (until.size() != 0)
    stop(now().place, "the template ends where " + std::string(*until.begin()) + " is missing");
  return out;
}

Stmt Parser::statement() {
  const Token token = expect(TokenKind::name, "a statement");
  const auto simple = [&](StmtKind kind) {
    expect(TokenKind::block_end, "%}");
    return Stmt{.kind = kind, .place = token.place};
  };
  Stmt out;
  if (token.text == "if") {
    out = branch(0);
  } else if (token.text == "for") {
    out = loop();
  } else if (token.text == "set") {
    out = assignment();
  } else if (token.text == "macro") {
    out = macro();
  } else if (token.text == "filter") {
    out = filter_block();
  } else if (token.text == "generation") {
    out = generation();
  } else if (token.text == "break") {
    out = simple(StmtKind::leave);
  } else if (token.text == "continue") {
    out = simple(StmtKind::next);
  } else {
    stop(token.place, "statement " + token.text + " is not supported");
  }
  out.place = token.place;
  return out;
}

void Parser::expect_end(std::string_view name) {
  if (!skip_name(name)) stop(now().place, "expected " + std::string(name) + ", not " + quote(now().text));
  expect(TokenKind::block_end, "%}");
}

Stmt Parser::branch(int chained) {
  if (chained > kMaxChain) stop(now().place, "more than " + std::to_string(kMaxChain) + " elif in a row");
  Stmt out{.kind = StmtKind::branch};
  out.value = tuple(false);
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endif", "elif", "else"});
  if (is_name("elif")) {
    const Place place = take().place;
    out.otherwise.push_back(branch(chained + 1));
    out.otherwise.back().place = place;
    return out;
  }
  if (skip_name("else")) {
    expect(TokenKind::block_end, "%}");
    out.otherwise = statements({"endif"});
  }
  expect_end("endif");
  return out;
}

Stmt Parser::loop() {
  Stmt out{.kind = StmtKind::loop};
  out.target = target(false);
  if (!skip_name("in")) stop(now().place, "expected in, not " + quote(now().text));
  out.value = tuple(false);
  if (skip_name("if")) out.test = expression();
  if (is_name("recursive")) stop(now().place, "recursive loops are not supported");
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endfor", "else"});
  if (skip_name("else")) {
    expect(TokenKind::block_end, "%}");
    out.otherwise = statements({"endfor"});
  }
  expect_end("endfor");
  return out;
}

Stmt Parser::assignment() {
  Stmt out{.kind = StmtKind::set};
  out.target = target(true);
  if (skip_mark("=")) {
    out.value = tuple();
    expect(TokenKind::block_end, "%}");
    return out;
  }
  out.kind = StmtKind::set_block;
  if (skip_mark("|")) out.value = filter_chain();
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endset"});
  expect_end("endset");
  return out;
}

ExprPtr Parser::target_name(bool allow_attribute) {
  const Token token = expect(TokenKind::name, "a name to assign to");
  ExprPtr name = make(ExprKind::name, token.place);
  name->name = token.text;
  if (!allow_attribute || !is_mark(".")) return name;
  take();
  std::vector<ExprPtr> args;
  args.push_back(std::move(name));
  ExprPtr attribute = make(ExprKind::attribute, token.place, std::move(args));
  attribute->name = expect(TokenKind::name, "an attribute").text;
  return attribute;
}

ExprPtr Parser::target(bool allow_attribute) {
  const Place place = now().place;
  const bool bracketed = skip_mark("(");
  std::vector<ExprPtr> names;
  names.push_back(target_name(allow_attribute));
  bool several = false;
  while (skip_mark(",")) {
    several = true;
    if (now().kind != TokenKind::name || is_name("in")) break;
    names.push_back(target_name(allow_attribute));
  }
  if (bracketed) expect_mark(")");
  if (!several) return std::move(names.front());
  return make(ExprKind::tuple, place, std::move(names));
}

std::vector<std::pair<std::string, ExprPtr>> Parser::signature() {
  std::vector<std::pair<std::string, ExprPtr>> parameters;
  expect_mark("(");
  while (!is_mark(")")) {
    if (!parameters.empty()) expect_mark(",");
    const Token name = expect(TokenKind::name, "a parameter");
    ExprPtr value = skip_mark("=") ? expression() : nullptr;
    if (!value && !parameters.empty() && parameters.back().second) {
      stop(name.place, "parameter " + name.text + " needs a default as the one before it has one");
    }
    parameters.emplace_back(name.text, std::move(value));
  }
  expect_mark(")");
  return parameters;
}

Stmt Parser::macro() {
  Stmt out{.kind = StmtKind::macro};
  out.name = expect(TokenKind::name, "a macro's name").text;
  out.parameters = signature();
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endmacro"});
  expect_end("endmacro");
  return out;
}

Stmt Parser::filter_block() {
  Stmt out{.kind = StmtKind::filter_block};
  out.value = filter_chain();
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endfilter"});
  expect_end("endfilter");
  return out;
}

Stmt Parser::generation() {
  Stmt out{.kind = StmtKind::generation};
  expect(TokenKind::block_end, "%}");
  out.body = statements({"endgeneration"});
  expect_end("endgeneration");
  return out;
}

std::vector<Stmt> parse_template(std::string_view source, const std::string& name) {
  return Parser(tokenize_template(source, name), name).statements({});
}

}  // namespace prefer::jinja
