// Strings that know where each of their bytes came from: the text type of the template interpreter.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace prefer::jinja {

inline constexpr std::int32_t kLiteral = -1;  ///< written by the template's author, or a role's name
inline constexpr std::int32_t kData = -2;     ///< from the caller's data, but from no message

/// Where bytes came from: a message's index, kLiteral or kData; and whether a generation block wrote them.
struct Origin {
  std::int32_t source = kLiteral;
  bool generated = false;
  friend bool operator==(const Origin&, const Origin&) = default;
};

/// UTF-8 bytes and, as runs that cover them in order, their origins. Every function below keeps origins.
class Text {
 public:
  struct Run {
    std::size_t end;
    Origin origin;
  };

  Text() = default;
  explicit Text(std::string_view bytes, std::int32_t source = kLiteral) { append(bytes, {source}); }

  const std::string& bytes() const { return bytes_; }
  const std::vector<Run>& runs() const { return runs_; }
  std::size_t size() const { return bytes_.size(); }
  bool empty() const { return bytes_.empty(); }
  Origin origin(std::size_t offset) const;

  void append(std::string_view bytes, Origin origin = {});
  void append(const Text& other) { append(other, 0, other.size()); }
  void append(const Text& other, std::size_t begin, std::size_t end);
  Text slice(std::size_t begin, std::size_t end) const;
  void mark_generated();

 private:
  std::string bytes_;
  std::vector<Run> runs_;
};

/// Length in bytes of the code point at `offset` (1 for a stray byte).
std::size_t code_point_length(std::string_view bytes, std::size_t offset);
char32_t code_point(std::string_view bytes, std::size_t offset);
/// Offsets of all code points, and the size at the end.
std::vector<std::size_t> code_points(std::string_view bytes);
/// White space as Python's str.isspace() has it.
bool is_space(char32_t c);

enum class Sides { left = 1, right = 2, both = 3 };
/// Python's strip, lstrip, rstrip: of white space, or of the code points in `chars` when it is not null.
Text strip(const Text& text, Sides sides, const std::string* chars = nullptr);
/// Python's split: at runs of white space when `separator` is null; at most `limit` cuts when limit >= 0.
std::vector<Text> split(const Text& text, const std::string* separator, std::int64_t limit);
/// Python's rsplit with a separator.
std::vector<Text> split_right(const Text& text, const std::string& separator, std::int64_t limit);
std::vector<Text> split_lines(const Text& text);
/// Python's replace: the first `count` places, all when count < 0; an empty `old` stands between code points.
Text replace(const Text& text, const std::string& old, const Text& with, std::int64_t count);
/// Changes of case, letter by letter without context (a final sigma stays a sigma). `title` is Python's,
/// whose words begin behind whatever has no case; `words` is Jinja2's filter title: behind white space and
/// -({[<.
enum class Case { lower, upper, capitalize, title, words };
Text change_case(const Text& text, Case to);

}  // namespace prefer::jinja
