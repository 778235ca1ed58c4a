// Reads the lexicon and sums the valences of a text's words.
#include "prefer/rollout/lexicon.hpp"

#include "prefer/core/error.hpp"

#include <array>
#include <charconv>
#include <cmath>
#include <vector>

namespace prefer {
namespace {

bool part_of_word(char c) {
  const auto byte = static_cast<unsigned char>(c);
  return (byte >= 'a' && byte <= 'z') || (byte >= 'A' && byte <= 'Z') || (byte >= '0' && byte <= '9') ||
         byte == '\'' || byte == '-' || byte >= 0x80;
}

/// Typographic quotes, dashes and dots (U+2013 to U+2026) as the plain ones that stand for them.
std::string plain_marks(std::string_view text) {
  std::string result;
  for (std::size_t i = 0; i < text.size(); ++i) {
    const std::string_view three = text.substr(i, 3);
    const bool mark = three >= "\u2013" && three <= "\u2026";
    if (mark) i += 2;
    result += !mark ? text[i] : three == "\u2018" || three == "\u2019" ? '\'' : ' ';
  }
  return result;
}

/// In small letters, without the quotes and dashes around them.
std::vector<std::string> words(std::string_view text) {
  std::vector<std::string> result;
  std::string word;
  const auto end_word = [&] {
    const std::size_t first = word.find_first_not_of("'-"), last = word.find_last_not_of("'-");
    if (first != std::string::npos) result.push_back(word.substr(first, last + 1 - first));
    word.clear();
  };
  for (const char c : plain_marks(text)) {
    if (part_of_word(c)) {
      word += c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
    } else {
      end_word();
    }
  }
  end_word();
  return result;
}

bool negates(const std::string& word) {
  static constexpr std::array kNegations = {"not",     "no",  "never",   "none",   "nobody",  "nothing",
                                            "neither", "nor", "nowhere", "cannot", "without", "hardly"};
  for (const char* negation : kNegations) {
    if (word == negation) return true;
  }
  return word.ends_with("n't");
}

}  // namespace

Lexicon Lexicon::load(Fs& fs, const std::string& path) {
  const std::string text = read_file(fs, path, std::uint64_t{64} << 20);
  Lexicon lexicon;
  std::size_t line_number = 0;
  for (std::size_t begin = 0; begin < text.size();) {
    const std::size_t end = std::min(text.find('\n', begin), text.size());
    const std::string_view line(text.data() + begin, end - begin);
    begin = end + 1;
    ++line_number;
    if (line.empty()) continue;
    const std::size_t tab = line.find('\t');
    double valence = 0;
    const char* number = line.data() + tab + 1;
    if (tab == 0 || tab == std::string_view::npos ||
        std::from_chars(number, line.data() + line.size(), valence).ec != std::errc() ||
        !std::isfinite(valence)) {
      fail(path, ":", line_number, ": a lexicon line is \"word TAB valence\"");
    }
    lexicon.valence_[std::string(line.substr(0, tab))] = valence;
  }
  if (lexicon.valence_.empty()) fail(path, ": the lexicon has no words");
  return lexicon;
}

double Lexicon::score(std::string_view text) const {
  double sum = 0;
  std::size_t since_negation = 4;
  for (const std::string& word : words(text)) {
    const auto known = valence_.find(word);
    if (known != valence_.end()) sum += known->second * (since_negation <= 3 ? -0.74 : 1.0);
    since_negation = negates(word) ? 1 : since_negation + 1;
  }
  return sum / std::sqrt(sum * sum + 15);
}

}  // namespace prefer
