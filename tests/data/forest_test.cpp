// The forest layout: shared prefixes computed once, every scored token where its predictor stands.
#include "prefer/data/forest.hpp"

#include "prefer/core/error.hpp"

#include <gtest/gtest.h>

#include <random>

namespace prefer {
namespace {

Sequence sequence(std::vector<std::int32_t> tokens, std::int64_t scored_from, std::int64_t group,
                  std::int64_t role) {
  const auto size = static_cast<std::int64_t>(tokens.size());
  Sequence s;
  s.tokens = std::move(tokens);
  s.scored = {{scored_from, size, Term::completion}};
  s.group = group;
  s.role = role;
  return s;
}

/// The tokens that stand before and at batch index `at`, read through the segments.
std::vector<std::int32_t> path_to(const Forest& f, std::int64_t at) {
  std::int64_t segment = 0;
  while (at < f.segments[segment].begin || at >= f.segments[segment].begin + f.segments[segment].length)
    ++segment;
  std::vector<std::int32_t> reversed;
  for (std::int64_t i = at; i >= f.segments[segment].begin; --i) reversed.push_back(f.tokens[i]);
  for (std::int64_t p = f.segments[segment].parent; p >= 0; p = f.segments[p].parent) {
    for (std::int64_t i = f.segments[p].length - 1; i >= 0; --i)
      reversed.push_back(f.tokens[f.segments[p].begin + i]);
  }
  return {reversed.rbegin(), reversed.rend()};
}

TEST(Forest, AnAnswerAfterItsPromptIsScoredButForWhatHasNothingBeforeIt) {
  const std::vector<std::int32_t> prompt = {5, 6}, answer = {7, 8, 9};
  const Sequence both = answer_after(prompt, answer), alone = answer_after({}, answer);
  EXPECT_EQ(both.tokens, (std::vector<std::int32_t>{5, 6, 7, 8, 9}));
  EXPECT_EQ(std::pair(both.scored.front().begin, both.scored.front().end), std::pair(2L, 5L));
  EXPECT_EQ(alone.tokens, answer);
  EXPECT_EQ(std::pair(alone.scored.front().begin, alone.scored.front().end), std::pair(1L, 3L));
}

TEST(Forest, SharesThePromptOfAPair) {
  const std::vector<Sequence> pair = {sequence({1, 2, 3, 10, 11}, 3, 7, role::kChosen),
                                      sequence({1, 2, 3, 20}, 3, 7, role::kRejected)};
  const Forest f = make_forest(pair, Sharing::on);
  EXPECT_EQ(f.tokens, (std::vector<std::int32_t>{1, 2, 3, 10, 11, 20}));
  EXPECT_EQ(f.positions, (std::vector<std::int64_t>{0, 1, 2, 3, 4, 3}));
  EXPECT_EQ(f.row,
            (std::vector<std::int64_t>{2, 3, 2}));  // the prompt's last token predicts both first tokens
  EXPECT_EQ(f.label, (std::vector<std::int64_t>{10, 11, 20}));
  EXPECT_EQ(f.sequence, (std::vector<std::int64_t>{0, 0, 1}));
  EXPECT_EQ(f.group, (std::vector<std::int64_t>{0, 0}));
  EXPECT_EQ(forest_tokens(pair, Sharing::on), 6);
  EXPECT_EQ(forest_tokens(pair, Sharing::off), 9);
}

TEST(Forest, GroupsAreNotSharedWithEachOther) {
  const std::vector<Sequence> two = {sequence({1, 2, 3}, 2, 0, 0), sequence({1, 2, 4}, 2, 1, 0)};
  EXPECT_EQ(make_forest(two, Sharing::on).tokens.size(), 6u);
}

TEST(Forest, AScoredTokenInASharedSegmentCountsForEachSequence) {
  const std::vector<Sequence> pair = {sequence({1, 2, 3, 4}, 1, 0, 0), sequence({1, 2, 3, 5}, 1, 0, 1)};
  const Forest f = make_forest(pair, Sharing::on);
  EXPECT_EQ(f.tokens.size(), 5u);
  EXPECT_EQ(f.scored(), 6);
}

TEST(Forest, EverySequenceIsFoundAgainInAnyLayout) {
  std::mt19937 random(1);
  for (int round = 0; round < 200; ++round) {
    std::vector<Sequence> sequences;
    for (int s = 0; s < 9; ++s) {  // few symbols, so prefixes nest, repeat and contain each other
      std::vector<std::int32_t> tokens(1 + random() % 12);
      for (auto& t : tokens) t = static_cast<std::int32_t>(random() % 2);
      sequences.push_back(sequence(std::move(tokens), 1, static_cast<std::int64_t>(random() % 3), s));
      sequences.back().reads = {{.token = static_cast<std::int64_t>(sequences.back().tokens.size()) - 1,
                                 .target = static_cast<float>(s)}};
    }
    for (const Sharing sharing : {Sharing::off, Sharing::on}) {
      const Forest f = make_forest(sequences, sharing);
      std::size_t m = 0;
      for (std::size_t s = 0; s < sequences.size(); ++s) {
        const auto& tokens = sequences[s].tokens;
        EXPECT_EQ(path_to(f, f.read_row[s]), tokens);
        EXPECT_EQ(f.read_target[s], static_cast<float>(s));
        for (std::size_t t = 1; t < tokens.size(); ++t, ++m) {
          EXPECT_EQ(path_to(f, f.row[m]), std::vector<std::int32_t>(tokens.begin(), tokens.begin() + t));
          EXPECT_EQ(f.label[m], tokens[t]);
          EXPECT_EQ(f.sequence[m], static_cast<std::int64_t>(s));
        }
      }
      EXPECT_EQ(f.scored(), static_cast<std::int64_t>(m));
      EXPECT_EQ(static_cast<std::int64_t>(f.tokens.size()), forest_tokens(sequences, sharing));
      for (std::size_t i = 0; i < f.tokens.size(); ++i) {
        EXPECT_EQ(f.positions[i] + 1,
                  static_cast<std::int64_t>(path_to(f, static_cast<std::int64_t>(i)).size()));
      }
    }
  }
}

TEST(Forest, RefusesWhatCannotBeScored) {
  std::vector<Sequence> bad = {sequence({1, 2}, 0, 0, 0)};
  EXPECT_THROW(make_forest(bad, Sharing::on), Error);
  bad = {sequence({}, 1, 0, 0)};
  EXPECT_THROW(make_forest(bad, Sharing::on), Error);
  bad = {sequence({1, 2}, 1, 0, 0)};
  bad[0].weight = {1, 1};
  EXPECT_THROW(make_forest(bad, Sharing::on), Error);
  bad = {sequence({1, 2}, 1, 0, 0)};
  bad[0].reads = {{.token = 2}};
  EXPECT_THROW(make_forest(bad, Sharing::on), Error);
}

}  // namespace
}  // namespace prefer
