// The recursive-descent parser of templates: statements over precedence-climbing expressions.
#pragma once

#include "src/text/jinja/ast.hpp"

#include <initializer_list>
#include <string>
#include <string_view>
#include <vector>

namespace prefer::jinja {

class Parser {
 public:
  Parser(std::vector<Token> tokens, const std::string& name) : tokens_(std::move(tokens)), name_(name) {}

  /// Statements up to a block tag named in `until`, which is left under the cursor after its block_begin;
  /// with an empty `until`, up to the end.
  std::vector<Stmt> statements(std::initializer_list<std::string_view> until);

 private:
  // Statements (parse_statements.cpp)
  Stmt statement();
  Stmt branch(int chained);
  Stmt loop();
  Stmt assignment();
  Stmt macro();
  Stmt filter_block();
  Stmt generation();
  ExprPtr target(bool allow_attribute);
  ExprPtr target_name(bool allow_attribute);
  std::vector<std::pair<std::string, ExprPtr>> signature();
  void expect_end(std::string_view name);

  // Expressions (parse_expressions.cpp)
  ExprPtr tuple(bool with_conditional = true);
  ExprPtr expression();
  ExprPtr logical_or();
  ExprPtr logical_and();
  ExprPtr logical_not();
  ExprPtr compare();
  ExprPtr binary(int level);
  ExprPtr concat();
  ExprPtr unary(bool with_filter);
  ExprPtr primary();
  ExprPtr constant(const Place& place, Value value);
  ExprPtr name();    ///< or a constant that is spelled like one
  ExprPtr string();  ///< or several, side by side, that are one
  ExprPtr number();
  ExprPtr list();
  ExprPtr dict();
  ExprPtr postfix(ExprPtr operand);
  ExprPtr subscript(ExprPtr operand);
  ExprPtr filters(ExprPtr operand);
  ExprPtr filter(ExprPtr operand);
  ExprPtr filter_chain();  ///< `f(args) | g ...`, whose first operand is left null: a block's text
  ExprPtr test(ExprPtr operand);
  void arguments(Expr& call);

  // Tokens
  const Token& now() const { return tokens_[at_]; }
  const Token& ahead() const { return tokens_[at_ + 1 < tokens_.size() ? at_ + 1 : at_]; }
  const Token& take() { return tokens_[at_ + 1 < tokens_.size() ? at_++ : at_]; }
  bool is(TokenKind kind, std::string_view text) const { return now().kind == kind && now().text == text; }
  bool is_mark(std::string_view text) const { return is(TokenKind::mark, text); }
  bool is_name(std::string_view text) const { return is(TokenKind::name, text); }
  bool skip_mark(std::string_view text);
  bool skip_name(std::string_view text);
  const Token& expect(TokenKind kind, const char* what);
  void expect_mark(std::string_view text);
  [[noreturn]] void stop(const Place& place, const std::string& what) const;

  ExprPtr make(ExprKind kind, const Place& place, std::vector<ExprPtr> args = {});
  ExprPtr sealed(ExprPtr expr);  ///< with its height counted; throws when it is too high

  /// One level of nesting of the parser itself.
  struct Level {
    explicit Level(Parser& parser);
    ~Level() { --parser_.depth_; }
    Parser& parser_;
  };

  std::vector<Token> tokens_;
  const std::string& name_;
  std::size_t at_ = 0;
  int depth_ = 0;
};

}  // namespace prefer::jinja
