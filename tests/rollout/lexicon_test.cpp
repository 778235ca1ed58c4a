// The lexicon reward against sums done by hand.
#include "prefer/rollout/lexicon.hpp"

#include "prefer/core/error.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>
#include <fstream>

namespace prefer {
namespace {

Lexicon lexicon(const std::string& text) {
  const std::string path = (std::filesystem::temp_directory_path() / "prefer_lexicon_test.txt").string();
  std::ofstream(path) << text;
  PosixFs fs;
  return Lexicon::load(fs, path);
}

double squashed(double sum) { return sum / std::sqrt(sum * sum + 15); }

TEST(Lexicon, SumsValencesOfWordsInAnyCase) {
  const Lexicon words = lexicon("good\t1.9\t0.9\t[2]\nbad\t-2.5\t0.6\t[-2]\n");
  EXPECT_EQ(words.size(), 2u);
  EXPECT_DOUBLE_EQ(words.score("A Good, GOOD day."), squashed(3.8));
  EXPECT_DOUBLE_EQ(words.score("bad goodness"), squashed(-2.5));
  EXPECT_DOUBLE_EQ(words.score("nothing said"), 0.0);
  EXPECT_DOUBLE_EQ(words.score(""), 0.0);
}

TEST(Lexicon, KnowsWordsInQuotesAndBesideDashes) {
  const Lexicon words = lexicon("good\t2\nwell-off\t1\n");
  for (const char* text :
       {"It was 'good'.", "\u201cGood\u201d!", "-good-", "it is\u2014good\u2026", "\u2018good\u2019"})
    EXPECT_DOUBLE_EQ(words.score(text), squashed(2)) << text;
  EXPECT_DOUBLE_EQ(words.score("a well-off man"), squashed(1));
  EXPECT_DOUBLE_EQ(words.score("'-'"), 0.0);
  EXPECT_DOUBLE_EQ(words.score("I don\u2019t think it good"), squashed(-1.48));
}

TEST(Lexicon, ANegationTurnsTheThreeWordsAfterIt) {
  const Lexicon words = lexicon("good\t2\n");
  EXPECT_DOUBLE_EQ(words.score("not good"), squashed(-1.48));
  EXPECT_DOUBLE_EQ(words.score("It isn't a very good one"), squashed(-1.48));
  EXPECT_DOUBLE_EQ(words.score("not in any way good"), squashed(2.0));
}

TEST(Lexicon, RefusesLinesThatAreNotWordTabNumber) {
  for (const char* bad : {"good 1.9\n", "good\tx\n", "\t1\n", ""}) EXPECT_THROW(lexicon(bad), Error) << bad;
}

}  // namespace
}  // namespace prefer
