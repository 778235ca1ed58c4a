// The regular expressions of tokenizers, on PCRE2 with its JIT: the one file that sees PCRE2.
#define PCRE2_CODE_UNIT_WIDTH 8
#include "tokenizer_regex.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/json.hpp"

#include <pcre2.h>

#include <cstdint>
#include <cstring>
#include <utility>

namespace prefer::text {
namespace {

// Oniguruma's classes: PCRE2's \s holds U+180E, and its \w lacks marks.
constexpr const char* kSpace =
    R"(\x09-\x0d\x20\x{85}\x{a0}\x{1680}\x{2000}-\x{200a}\x{2028}\x{2029}\x{202f}\x{205f}\x{3000})";
constexpr const char* kNotSpace =
    R"(\x00-\x08\x0e-\x1f\x21-\x{84}\x{86}-\x{9f}\x{a1}-\x{167f}\x{1681}-\x{1fff}\x{200b}-\x{2027})"
    R"(\x{202a}-\x{202e}\x{2030}-\x{205e}\x{2060}-\x{2fff}\x{3001}-\x{10ffff})";
constexpr const char* kOtherWord =
    R"(\p{Nl}\p{Pc}\x{b2}\x{b3}\x{b9}\x{bc}-\x{be}\x{24b6}-\x{24e9}\x{1f130}-\x{1f149})"
    R"(\x{1f150}-\x{1f169}\x{1f170}-\x{1f189})";
constexpr std::uint32_t kOptions =
    PCRE2_UTF | PCRE2_UCP | PCRE2_MULTILINE;  // Oniguruma's ^ and $ are those of lines
constexpr std::size_t kMaxExpression = 64 << 10;
constexpr std::uint32_t kMatchLimit = 50'000'000;
constexpr std::uint32_t kHeapLimitKiB = 64 << 10;

// A general category as content of a class, newer code points included.
std::string category(std::string_view name) {
  std::string content = "\\p{" + std::string(name) + "}";
  for (std::size_t i = 0; i < kNewerRunsCount; ++i)
    if (name == kNewerRuns[i].category) content += kNewerRuns[i].content;
  return content;
}

// The category after \p or \P, such as L of \p{L}; `at` moves to its last character.
std::string_view category_name(const std::string& expression, std::size_t& at) {
  const std::string_view rest = std::string_view(expression).substr(at + 1);
  const auto end = rest.starts_with('{') ? rest.find('}') : std::string_view::npos;
  if (end == std::string_view::npos)
    fail("regular expression ", quote(expression), ": \\", expression[at], " wants a category in braces");
  at += end + 1;
  return rest.substr(1, end - 1);
}

// The escape whose letter stands at `at`, which moves to the last character of the escape.
void translate_escape(const std::string& expression, std::size_t& at, bool in_class, std::string& out) {
  const char c = expression[at];
  const auto class_of = [&](const std::string& content, bool negated = false) {
    if (in_class && negated)
      fail("regular expression ", quote(expression), ": \\", c, " inside a class is not supported");
    out += in_class ? content : (negated ? "[^" : "[") + content + "]";
  };
  if (c == 's') return class_of(kSpace);
  if (c == 'S') return class_of(kNotSpace);
  if (c == 'w' || c == 'W')
    return class_of(category("L") + category("M") + category("Nd") + kOtherWord, c == 'W');
  if (c == 'd' || c == 'D') return class_of(category("Nd"), c == 'D');
  if (c == 'p' || c == 'P') return class_of(category(category_name(expression, at)), c == 'P');
  const bool letter_or_digit = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z');
  if (letter_or_digit && !std::strchr("rntfxAz", c))
    fail("regular expression ", quote(expression), ": the escape \\", c,
         " is not supported; s S w W d D p P r n t f x A z are");
  out += '\\';
  out += c;
}

// The expression as PCRE2 reads it.
std::string translated(const std::string& expression) {
  std::string out;
  bool in_class = false;
  for (std::size_t i = 0; i < expression.size(); ++i) {
    const char c = expression[i];
    if (c == '\\' && i + 1 < expression.size()) {
      translate_escape(expression, ++i, in_class, out);
      continue;
    }
    if (in_class && c == '&' && expression.compare(i, 2, "&&") == 0)
      fail("regular expression ", quote(expression), ": the class operator && is not supported");
    if (in_class && c == '[')
      fail("regular expression ", quote(expression), ": a class inside a class is not supported");
    if (c == '[') in_class = true;
    if (c == ']') in_class = false;
    out += c;
  }
  return out;
}

std::string message_of(int code) {
  PCRE2_UCHAR text[256] = {};
  pcre2_get_error_message(code, text, sizeof text);
  return reinterpret_cast<const char*>(text);
}

struct MatchData {
  pcre2_match_context* context = pcre2_match_context_create(nullptr);
  pcre2_match_data* data = nullptr;
  explicit MatchData(const pcre2_code* code) : data(pcre2_match_data_create_from_pattern(code, nullptr)) {
    pcre2_set_match_limit(context, kMatchLimit);
    pcre2_set_heap_limit(context, kHeapLimitKiB);
  }
  MatchData(const MatchData&) = delete;
  MatchData& operator=(const MatchData&) = delete;
  ~MatchData() {
    pcre2_match_data_free(data);
    pcre2_match_context_free(context);
  }
};

}  // namespace

class Regex {
 public:
  explicit Regex(const std::string& expression) : source_(expression) {
    if (expression.size() > kMaxExpression)
      fail("regular expression of ", expression.size(), " bytes; at most ", kMaxExpression, " are allowed");
    const std::string text = translated(expression);
    int error = 0;
    PCRE2_SIZE offset = 0;
    code_ = pcre2_compile(reinterpret_cast<PCRE2_SPTR>(text.data()), text.size(), kOptions, &error, &offset,
                          nullptr);
    if (!code_) fail("regular expression ", quote(expression), ": ", message_of(error));
    pcre2_jit_compile(code_, PCRE2_JIT_COMPLETE);  // where there is no JIT, the interpreter serves
  }
  Regex(const Regex&) = delete;
  Regex& operator=(const Regex&) = delete;
  ~Regex() { pcre2_code_free(code_); }

  std::vector<Range> find_all(std::string_view text) const {
    const MatchData match(code_);
    std::vector<Range> found;
    std::size_t at = 0;
    while (at < text.size()) {
      const int count = step(text, at, match);
      if (count == PCRE2_ERROR_NOMATCH) break;
      if (count < 0) fail("regular expression ", quote(source_), ": ", message_of(count));
      const PCRE2_SIZE* offsets = pcre2_get_ovector_pointer(match.data);
      const bool empty = offsets[0] == offsets[1];
      if (!empty) found.push_back({offsets[0], offsets[1]});
      at = offsets[1] + (empty ? 1 : 0);
      while (empty && at < text.size() && (text[at] & 0xC0) == 0x80) ++at;
    }
    return found;
  }

 private:
  int step(std::string_view text, std::size_t at, const MatchData& match) const {
    const auto* subject = reinterpret_cast<PCRE2_SPTR>(text.data());
    // Checking UTF-8 anew at each match would be quadratic; the caller vouches for it.
    const int count =
        pcre2_match(code_, subject, text.size(), at, PCRE2_NO_UTF_CHECK, match.data, match.context);
    if (count != PCRE2_ERROR_JIT_STACKLIMIT) return count;
    return pcre2_match(code_, subject, text.size(), at, PCRE2_NO_UTF_CHECK | PCRE2_NO_JIT, match.data,
                       match.context);
  }

  std::string source_;
  pcre2_code* code_ = nullptr;
};

Pattern Pattern::literal(std::string text) {
  Pattern pattern;
  pattern.source_ = std::move(text);
  return pattern;
}

Pattern Pattern::regex(const std::string& expression, const std::string& place) {
  Pattern pattern;
  pattern.source_ = expression;
  try {
    pattern.regex_ = std::make_shared<Regex>(expression);
  } catch (const Error& error) {
    fail(place, ": ", error.what());
  }
  return pattern;
}

std::vector<Range> Pattern::find_all(std::string_view text) const {
  if (regex_) return regex_->find_all(text);
  std::vector<Range> found;
  if (source_.empty()) return found;
  for (std::size_t at = text.find(source_); at != std::string_view::npos;
       at = text.find(source_, at + source_.size()))
    found.push_back({at, at + source_.size()});
  return found;
}

}  // namespace prefer::text
