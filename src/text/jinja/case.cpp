// Changes of case as Python has them, from tables of our own: the host's locales differ, or are not there.
#include "prefer/text/utf8.hpp"
#include "src/text/jinja/case_data.hpp"
#include "src/text/jinja/text.hpp"
#include "src/text/tokenizer_unicode.hpp"

#include <algorithm>

namespace prefer::jinja {
namespace {

const SpecialCase* special(char32_t code) {
  const SpecialCase* const end = kSpecial + kSpecialCases;
  const SpecialCase* const found =
      std::lower_bound(kSpecial, end, code, [](const auto& s, char32_t c) { return s.code < c; });
  return found != end && found->code == code ? found : nullptr;
}

char32_t upper(char32_t code) {
  if (code < 0x80) return code >= 'a' && code <= 'z' ? code - 32 : code;
  const UpperRun* const end = kUpper + kUpperRuns;
  const UpperRun* const run =
      std::lower_bound(kUpper, end, code, [](const auto& r, char32_t c) { return r.last < c; });
  const bool hit = run != end && run->first <= code && (code - run->first) % run->step == 0;
  return hit ? static_cast<char32_t>(static_cast<std::int64_t>(code) + run->delta) : code;
}

std::string raised(std::string_view letter, bool to_title) {
  const char32_t code = code_point(letter, 0);
  if (const SpecialCase* found = special(code)) return to_title ? found->title : found->upper;
  std::string out;
  utf8::append(out, upper(code));
  return out;
}

bool has_case(std::string_view letter) {
  return raised(letter, false) != letter || text::unicode::lower(letter) != letter;
}

/// Whether a word begins behind `letter`: in Jinja2's title filter behind what it splits words at, in
/// Python's title method behind whatever has no case.
bool ends_word(std::string_view letter, Case to) {
  if (to == Case::words)
    return is_space(code_point(letter, 0)) ||
           std::string_view("-({[<").find(letter) != std::string_view::npos;
  return !has_case(letter);
}

}  // namespace

Text change_case(const Text& text, Case to) {
  Text out;
  const std::string_view bytes = text.bytes();
  bool word_begins = true;
  for (std::size_t at = 0, length = 0; at < bytes.size(); at += length) {
    length = code_point_length(bytes, at);
    const std::string_view letter = bytes.substr(at, length);
    const bool by_words = to == Case::title || to == Case::words;
    const bool raise = to == Case::upper || (to == Case::capitalize && at == 0) || (by_words && word_begins);
    const bool to_title = to == Case::title || to == Case::capitalize;
    out.append(raise ? raised(letter, to_title) : text::unicode::lower(letter), text.origin(at));
    if (by_words) word_begins = ends_word(letter, to);
  }
  return out;
}

}  // namespace prefer::jinja
