// The syntax tree of a template, and the tokens it is parsed from.
#pragma once

#include "src/text/jinja/value.hpp"

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

namespace prefer::jinja {

/// Line and column, both from 1.
struct Place {
  std::uint32_t line = 1;
  std::uint32_t column = 1;
};

enum class TokenKind {
  data,
  output_begin,
  output_end,
  block_begin,
  block_end,
  name,
  string,
  integer,
  number,
  mark,
  end
};

struct Token {
  TokenKind kind;
  std::string text;  ///< data and strings: as they mean, escapes resolved
  Place place;
};

/// Cuts a template into tokens with trim_blocks and lstrip_blocks on and the last newline dropped.
/// Throws Error("name:line:column: what").
std::vector<Token> tokenize_template(std::string_view source, const std::string& name);

enum class ExprKind {
  constant,
  name,
  list,
  tuple,
  dict,
  attribute,
  item,
  slice,
  call,
  filter,
  test,
  negate,
  plus,
  logical_not,
  logical_and,
  logical_or,
  binary,
  concat,
  compare,
  conditional,
};

struct Expr;
using ExprPtr = std::unique_ptr<Expr>;

/// `args` by kind. attribute, filter, test: the operand first. item: operand, index. slice: operand, start,
/// stop, step (null where left out). call: the callee first. dict: key, value, key, value, ... compare: n + 1
/// operands for n `operators`. conditional: condition, then, else (null where left out).
struct Expr {
  ExprKind kind;
  Place place;
  std::string name;
  Value constant;
  std::vector<ExprPtr> args;
  std::vector<std::pair<std::string, ExprPtr>> named;
  std::vector<std::string> operators;
  int height = 1;
};

enum class StmtKind {
  data,
  output,
  branch,
  loop,
  set,
  set_block,
  macro,
  filter_block,
  generation,
  leave,
  next
};

/// `target`: the names a loop or set assigns. `value`: what is written, iterated, assigned, or the condition;
/// for the block forms of set and filter the filter chain, or null. `test`: a loop's `if`.
struct Stmt {
  StmtKind kind = StmtKind::data;
  Place place = {};
  std::string name = {};
  Text data = {};
  ExprPtr target = {}, value = {}, test = {};
  std::vector<std::pair<std::string, ExprPtr>> parameters = {};
  std::vector<Stmt> body = {}, otherwise = {};
};

/// Parses a template; throws Error("name:line:column: what") with the unsupported construct's name.
std::vector<Stmt> parse_template(std::string_view source, const std::string& name);

}  // namespace prefer::jinja
