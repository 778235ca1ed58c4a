// What Unicode says of characters, as far as tokenizers ask: canonical composition, lower case, white space.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace prefer::text::unicode {

/// Normalisation form C (Unicode Standard Annex 15). `text` is valid UTF-8.
std::string nfc(std::string_view text);

/// The last place up to `offset`, and the first from `offset` on, where nfc(text) is what it is of both
/// sides. `offset` is inside the text.
std::size_t border_before(std::string_view text, std::size_t offset);
std::size_t border_after(std::string_view text, std::size_t offset);

/// Each letter's lower case, without context (a final sigma stays a sigma), as Rust's char::to_lowercase.
std::string lower(std::string_view text);

/// White_Space.
bool is_space(char32_t code);

// The data files, written by make_tokenizer_unicode.py.
struct CombiningRun {
  char32_t first, last;
  std::uint8_t combining_class;
};
struct LowerRun {
  char32_t first, last;
  std::uint32_t step;
  std::int32_t delta;
};
extern const std::u32string_view kComposing;        // whole, first part, second part; and so on
extern const std::u32string_view kDecomposingOnly;  // the same, for those that are not composed again
extern const std::u32string_view kSingles;          // whole, its one part
extern const CombiningRun kCombining[];
extern const std::size_t kCombiningRuns;
extern const LowerRun kLower[];
extern const std::size_t kLowerRuns;

}  // namespace prefer::text::unicode
