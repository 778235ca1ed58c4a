// A reward from a sentiment lexicon: how kind the words of a text are.
#pragma once

#include "prefer/core/fs.hpp"

#include <string>
#include <string_view>
#include <unordered_map>

namespace prefer {

/// The valences of VADER's lexicon (Hutto and Gilbert 2014, "VADER: A parsimonious rule-based model for
/// sentiment analysis of social media text"): a word and its mean rating on -4..4 a line, tab-separated.
class Lexicon {
 public:
  /// Reads `vader_lexicon.txt`; throws Error with file:line for a line that is not "word TAB number ...".
  static Lexicon load(Fs& fs, const std::string& path);

  /// The sum s of the valences of the text's words, a word within three after a negation counted -0.74 times,
  /// squashed to s / sqrt(s^2 + 15): VADER's compound score without its rules for emphasis. In (-1, 1); 0
  /// where nothing is said.
  double score(std::string_view text) const;

  std::size_t size() const { return valence_.size(); }

 private:
  std::unordered_map<std::string, double> valence_;
};

}  // namespace prefer
