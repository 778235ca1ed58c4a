// Cuts a template into tokens as Jinja2 does with trim_blocks=True, lstrip_blocks=True,
// keep_trailing_newline=False.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "src/text/jinja/ast.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace prefer::jinja {
namespace {

bool name_begins(char c) { return std::isalpha(static_cast<unsigned char>(c)) || c == '_' || (c & 0x80); }
bool name_goes_on(char c) { return name_begins(c) || std::isdigit(static_cast<unsigned char>(c)); }
bool is_digit(char c) { return std::isdigit(static_cast<unsigned char>(c)) != 0; }

/// Every kind of line end becomes "\n"; one at the very end goes.
std::string with_plain_lines(std::string_view source) {
  std::string out;
  out.reserve(source.size());
  for (std::size_t i = 0; i < source.size(); ++i) {
    if (source[i] == '\r') {
      if (i + 1 < source.size() && source[i + 1] == '\n') ++i;
      out += '\n';
    } else {
      out += source[i];
    }
  }
  if (!out.empty() && out.back() == '\n') out.pop_back();
  return out;
}

class Lexer {
 public:
  Lexer(std::string_view source, const std::string& name) : source_(with_plain_lines(source)), name_(name) {}

  std::vector<Token> run() {
    while (at_ < source_.size()) {
      const std::size_t tag = next_tag();
      if (tag == std::string::npos) {
        push(TokenKind::data, source_.substr(at_), at_);
        at_ = source_.size();
        break;
      }
      const char kind = source_[tag + 1];
      const char sign = tag + 2 < source_.size() ? source_[tag + 2] : ' ';
      const bool signed_tag = sign == '-' || sign == '+';
      push_data(tag, kind, sign);
      at_ = tag + (signed_tag ? 3 : 2);
      if (kind == '#') {
        skip_comment(tag);
      } else {
        lex_code(tag, kind == '%');
      }
    }
    push(TokenKind::end, "", source_.size());
    return std::move(tokens_);
  }

 private:
  std::size_t next_tag() const {
    for (std::size_t at = source_.find('{', at_); at != std::string::npos; at = source_.find('{', at + 1)) {
      const char next = at + 1 < source_.size() ? source_[at + 1] : ' ';
      if (next == '{' || next == '%' || next == '#') return at;
    }
    return std::string::npos;
  }

  void push_data(std::size_t tag, char kind, char sign) {
    std::string data = source_.substr(at_, tag - at_);
    if (sign == '-') {
      data = strip(Text(data), Sides::right).bytes();
    } else if (sign != '+' && kind != '{') {
      const std::size_t line = data.rfind('\n') + 1;  // 0 when there is none
      if ((line > 0 || line_starting_) && strip(Text(data.substr(line)), Sides::both).empty())
        data.resize(line);
    }
    if (!data.empty()) push(TokenKind::data, data, at_);
  }

  void skip_comment(std::size_t tag) {
    const std::size_t end = source_.find("#}", at_);
    if (end == std::string::npos) stop(tag, "the comment is not closed");
    const char sign = end > at_ ? source_[end - 1] : ' ';
    at_ = end;
    finish(sign == '-' || sign == '+' ? sign : ' ', true);
  }

  /// Steps over a closing delimiter and the white space it eats.
  void finish(char sign, bool trims_newline) {
    at_ += 2;
    if (sign == '-') {
      while (at_ < source_.size() && is_space(code_point(source_, at_)))
        at_ += code_point_length(source_, at_);
    } else if (sign != '+' && trims_newline && at_ < source_.size() && source_[at_] == '\n') {
      ++at_;
    }
    line_starting_ = source_[at_ - 1] == '\n';
  }

  void lex_code(std::size_t tag, bool block) {
    push(block ? TokenKind::block_begin : TokenKind::output_begin, "", tag);
    const std::string_view close = block ? "%}" : "}}";
    std::vector<char> open;
    while (true) {
      if (at_ >= source_.size())
        stop(tag, block ? "the block tag is not closed" : "the expression is not closed");
      if (std::isspace(static_cast<unsigned char>(source_[at_]))) {
        ++at_;
        continue;
      }
      if (open.empty() && closes(close, block)) break;
      lex_token(open);
    }
  }

  bool closes(std::string_view close, bool block) {
    const char sign = source_[at_];
    const bool signed_close =
        (sign == '-' || (sign == '+' && block)) && source_.compare(at_ + 1, 2, close) == 0;
    if (!signed_close && source_.compare(at_, 2, close) != 0) return false;
    push(block ? TokenKind::block_end : TokenKind::output_end, "", at_);
    at_ += signed_close ? 1 : 0;
    finish(signed_close ? sign : ' ', block);
    return true;
  }

  void lex_token(std::vector<char>& open) {
    const char c = source_[at_];
    const std::size_t begin = at_;
    if (name_begins(c)) {
      while (at_ < source_.size() && name_goes_on(source_[at_])) ++at_;
      push(TokenKind::name, source_.substr(begin, at_ - begin), begin);
      if (tokens_.back().text == "raw" && tokens_[tokens_.size() - 2].kind == TokenKind::block_begin) {
        stop(begin, "statement raw is not supported");
      }
    } else if (is_digit(c)) {
      lex_number();
    } else if (c == '"' || c == '\'') {
      lex_string(c);
    } else {
      lex_mark(open);
    }
  }

  void lex_number() {
    const std::size_t begin = at_;
    const auto digits = [&] {
      while (at_ < source_.size() && (is_digit(source_[at_]) || source_[at_] == '_')) ++at_;
    };
    const auto digit_at = [&](std::size_t at) { return at < source_.size() && is_digit(source_[at]); };
    const bool after_dot = begin > 0 && source_[begin - 1] == '.';
    bool whole = true;
    digits();
    if (!after_dot && at_ < source_.size() && source_[at_] == '.' && digit_at(at_ + 1)) {
      whole = false;
      ++at_;
      digits();
    }
    if (!after_dot && at_ < source_.size() && (source_[at_] == 'e' || source_[at_] == 'E')) {
      const bool sign = at_ + 1 < source_.size() && (source_[at_ + 1] == '-' || source_[at_ + 1] == '+');
      if (digit_at(at_ + (sign ? 2 : 1))) {
        whole = false;
        at_ += sign ? 2 : 1;
        digits();
      }
    }
    std::string text = source_.substr(begin, at_ - begin);
    text.erase(std::remove(text.begin(), text.end(), '_'), text.end());
    if (at_ < source_.size() && name_begins(source_[at_])) stop(begin, "a number is followed by letters");
    push(whole ? TokenKind::integer : TokenKind::number, text, begin);
  }

  void lex_string(char mark) {
    const std::size_t begin = at_++;
    std::string text;
    while (true) {
      if (at_ >= source_.size()) stop(begin, "the string is not closed");
      const char c = source_[at_++];
      if (c == mark) break;
      if (c != '\\') {
        text += c;
      } else if (at_ < source_.size()) {
        text += escape(begin);
      }
    }
    push(TokenKind::string, text, begin);
  }

  /// What a backslash and the characters after it mean, by Python's rules.
  std::string escape(std::size_t begin) {
    const char c = source_[at_++];
    static constexpr std::string_view kFrom = "\\'\"abfnrtv";
    static constexpr std::string_view kTo = "\\'\"\a\b\f\n\r\t\v";
    if (const auto known = kFrom.find(c); known != std::string_view::npos) return std::string(1, kTo[known]);
    if (c == '\n') return "";
    if (c >= '0' && c <= '7') {
      char32_t value = static_cast<char32_t>(c - '0');
      for (int i = 0; i < 2 && at_ < source_.size() && source_[at_] >= '0' && source_[at_] <= '7'; ++i) {
        value = value * 8 + static_cast<char32_t>(source_[at_++] - '0');
      }
      return encoded(value);
    }
    if (c == 'x') return encoded(hex(2, begin));
    if (c == 'u') return encoded(hex(4, begin));
    if (c == 'U') return encoded(hex(8, begin));
    if (c == 'N') stop(begin, "the escape \\N{...} is not supported");
    return std::string("\\") + c;
  }

  char32_t hex(int digits, std::size_t begin) {
    char32_t value = 0;
    for (int i = 0; i < digits; ++i, ++at_) {
      if (at_ >= source_.size() || !std::isxdigit(static_cast<unsigned char>(source_[at_]))) {
        stop(begin, "the string holds an escape with too few digits");
      }
      const char c = static_cast<char>(std::tolower(static_cast<unsigned char>(source_[at_])));
      value = value * 16 + static_cast<char32_t>(c <= '9' ? c - '0' : c - 'a' + 10);
    }
    if (value > 0x10FFFF || (value >= 0xD800 && value < 0xE000))
      stop(begin, "the string escapes no Unicode character");
    return value;
  }

  static std::string encoded(char32_t c) {
    std::string out;
    utf8::append(out, c);
    return out;
  }

  void lex_mark(std::vector<char>& open) {
    static constexpr std::array<std::string_view, 25> kMarks = {
        "//", "**", "==", "!=", ">=", "<=", "+", "-", "/", "*", "%", "~", "[",
        "]",  "(",  ")",  "{",  "}",  ">",  "<", "=", ".", ":", "|", ","};
    const auto* mark = std::find_if(kMarks.begin(), kMarks.end(), [&](std::string_view m) {
      return source_.compare(at_, m.size(), m) == 0;
    });
    const char c = source_[at_];
    if (mark == kMarks.end()) stop(at_, std::string("unexpected character ") + c);
    if (c == '(' || c == '[' || c == '{') open.push_back(c == '(' ? ')' : c == '[' ? ']' : '}');
    if (c == ')' || c == ']' || c == '}') {
      if (open.empty() || open.back() != c) stop(at_, std::string("unexpected ") + c);
      open.pop_back();
    }
    push(TokenKind::mark, std::string(*mark), at_);
    at_ += mark->size();
  }

  void push(TokenKind kind, std::string text, std::size_t offset) {
    tokens_.push_back({kind, std::move(text), place(offset)});
  }

  /// Offsets only grow but for errors, so counting goes on from the last one.
  Place place(std::size_t offset) {
    if (offset < counted_) {
      counted_ = 0;
      line_begin_ = 0;
      line_ = 1;
    }
    for (; counted_ < offset; ++counted_) {
      if (source_[counted_] != '\n') continue;
      ++line_;
      line_begin_ = counted_ + 1;
    }
    return {line_, static_cast<std::uint32_t>(offset - line_begin_ + 1)};
  }

  [[noreturn]] void stop(std::size_t offset, const std::string& what) {
    const Place where = place(offset);
    fail(name_, ":", where.line, ":", where.column, ": ", what);
  }

  const std::string source_;
  const std::string& name_;
  std::vector<Token> tokens_;
  std::size_t at_ = 0;
  bool line_starting_ = true;
  std::size_t counted_ = 0, line_begin_ = 0;
  std::uint32_t line_ = 1;
};

}  // namespace

std::vector<Token> tokenize_template(std::string_view source, const std::string& name) {
  return Lexer(source, name).run();
}

}  // namespace prefer::jinja
