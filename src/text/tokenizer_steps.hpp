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

/// `text` after the step. `begins_input`: nothing stands before it.
std::string rewritten(const Rewrite& step, std::string_view text, bool begins_input);

/// `text` after all steps. Throws Error where they make far more of it than it was: a chain of replacements
/// can double it at each.
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

/// The pieces after all steps; empty ones are dropped. Throws as normalised does.
Pieces pre_tokenized(const std::vector<PreStep>& steps, std::string_view text, bool begins_input);

/// The letters of byte-level BPE by byte, and the byte of a letter (-1: none).
const std::array<std::string, 256>& byte_letters();
int byte_of_letter(char32_t code);

}  // namespace prefer::text
