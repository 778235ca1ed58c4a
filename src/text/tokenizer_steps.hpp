// What happens to text before the model sees it: rewriting steps and cutting steps, each a small value.
#pragma once

#include "tokenizer_regex.hpp"

#include <array>
#include <cstddef>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

namespace prefer::text {

/// Offsets into a text, ascending.
using Offsets = std::vector<std::size_t>;

/// Carries offsets into a text over to what is made of it, in one pass. Whoever rewrites the text says piece
/// by piece what became of it. An offset between two pieces stays between them; one inside a piece goes as
/// far into what that became, or to its end.
class Carry {
 public:
  explicit Carry(Offsets& offsets) : offsets_(offsets) {}

  /// Whether no offset is left to carry.
  bool idle() const { return next_ == offsets_.size(); }

  /// The next `from` bytes of the text became `to` bytes.
  void became(std::size_t from, std::size_t to) {
    for (; !idle() && (offsets_[next_] <= read_ || offsets_[next_] < read_ + from); ++next_) {
      const std::size_t inside = offsets_[next_] > read_ ? offsets_[next_] - read_ : 0;
      offsets_[next_] = written_ + (inside < to ? inside : to);
    }
    read_ += from;
    written_ += to;
  }

  /// How far ahead the next offset is, where that is less than `within`; 0 where it is not.
  std::size_t ahead(std::size_t within) {
    became(0, 0);  // one that stands right here is carried
    const std::size_t distance = idle() ? within : offsets_[next_] - read_;
    return distance < within ? distance : 0;
  }

  /// The text ends: what is left goes to the end.
  void finish() {
    for (; !idle(); ++next_) offsets_[next_] = written_;
  }

 private:
  Offsets& offsets_;
  std::size_t next_ = 0, read_ = 0, written_ = 0;
};

/// Puts `text` in front.
struct Prefix {
  enum class When { always, first };
  std::string text;
  When when = When::always;  ///< first: only where the piece begins the whole input
  bool unless_there = true;  ///< not where the piece begins with `text` already
};

/// Every match of `pattern` becomes `content`.
struct Substitute {
  Pattern pattern;
  std::string content;
};

/// Normalisation form C.
struct Nfc {};

struct Lowercase {};

/// White space off the ends.
struct StripSpace {
  bool left = true, right = true;
};

/// Every byte becomes its letter of byte-level BPE: printable Latin-1 stands for itself, the rest for U+0100
/// on.
struct ByteLetters {};

using Rewrite = std::variant<Prefix, Substitute, Nfc, Lowercase, StripSpace, ByteLetters>;

/// `text` after the step. `begins_input`: nothing stands before it. `carry` stands where the text begins.
std::string rewritten(const Rewrite& step, std::string_view text, bool begins_input, Carry& carry);
std::string rewritten(const Rewrite& step, std::string_view text, bool begins_input);

/// `text` after all steps; `offsets` into it become offsets into the result. Throws Error where the steps
/// make far more of it than it was: a chain of replacements can double it at each.
std::string normalised(const std::vector<Rewrite>& steps, std::string_view text, bool begins_input,
                       Offsets& offsets);
std::string normalised(const std::vector<Rewrite>& steps, std::string_view text, bool begins_input);

/// Cuts at the matches of `pattern`.
struct Cut {
  enum class Behavior { removed, isolated, merged_with_previous, merged_with_next, contiguous };
  Pattern pattern;
  Behavior behavior = Behavior::isolated;
  bool invert = false;  ///< what does not match counts as the match
};

using PreStep = std::variant<Rewrite, Cut>;

/// Pieces of a text, end to end in one string.
struct Pieces {
  std::string text;
  std::vector<std::size_t> ends;

  void push(std::string_view piece) {
    text += piece;
    ends.push_back(text.size());
  }
  template <class Visit>
  void for_each(Visit&& visit) const {
    std::size_t begin = 0;
    for (const std::size_t end : ends) {
      visit(std::string_view(text).substr(begin, end - begin));
      begin = end;
    }
  }
};

/// The pieces after all steps; empty ones are dropped. `offsets` into `text` become offsets into that of the
/// pieces. Throws as normalised does.
Pieces pre_tokenized(const std::vector<PreStep>& steps, std::string_view text, bool begins_input,
                     Offsets& offsets);
Pieces pre_tokenized(const std::vector<PreStep>& steps, std::string_view text, bool begins_input);

/// The letters of byte-level BPE by byte, and the byte of a letter (-1: none).
const std::array<std::string, 256>& byte_letters();
int byte_of_letter(char32_t code);

}  // namespace prefer::text
