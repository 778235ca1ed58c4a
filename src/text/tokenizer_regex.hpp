// Patterns that cut text: a literal, or a regular expression of the Oniguruma kind that tokenizers use.
#pragma once

#include <cstddef>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

namespace prefer::text {

/// Bytes [begin, end) of a text.
struct Range {
  std::size_t begin = 0;
  std::size_t end = 0;
};

class Regex;

/// Immutable; may be used by many threads at once.
class Pattern {
 public:
  static Pattern literal(std::string text);
  /// Throws Error when the expression is malformed or uses an escape that PCRE2 reads otherwise than
  /// Oniguruma.
  /// `place` stands in the error.
  static Pattern regex(const std::string& expression, const std::string& place = "pre-tokenizer");

  /// The matches that are not empty, left to right, none overlapping. `text` is valid UTF-8.
  /// Throws Error when the expression needs more steps than the limit.
  std::vector<Range> find_all(std::string_view text) const;

  const std::string& source() const { return source_; }

 private:
  std::string source_;
  std::shared_ptr<const Regex> regex_;
};

// The data file: what newer Unicode adds to a general category, as content of a class.
struct NewerRuns {
  const char* category;
  const char* content;
};
extern const NewerRuns kNewerRuns[];
extern const std::size_t kNewerRunsCount;

}  // namespace prefer::text
