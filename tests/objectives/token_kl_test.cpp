// The KL of next tokens against its definition, and that of whole answers against all the answers there are.
#include "prefer/objectives/token_kl.hpp"

#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"
#include "support/tiny_model.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::tiny_config;
using testing::tiny_model;

/// `repeats` sequences of three tokens, the last two scored.
Batch batch_of(int64_t repeats) {
  std::vector<Sequence> sequences;
  for (int64_t i = 0; i < repeats; ++i) {
    Sequence s;
    s.tokens = {3, static_cast<int32_t>(i % 23), static_cast<int32_t>(i / 23 % 23)};
    s.scored = {{1, 3, Term::completion}};
    s.group = i;
    sequences.push_back(s);
  }
  return make_batch(make_forest(sequences, Sharing::off));
}

TEST(TokenKl, IsTheSumOverTheVocabularyOfProbabilityTimesLogRatio) {
  const auto pi = tiny_model(at::kDouble, tiny_config(), 1), ref = tiny_model(at::kDouble, tiny_config(), 2);
  const Tensor kl = token_kl(*pi, *ref, batch_of(1));  // [2]
  // With every token of the vocabulary as a label in turn, log-probabilities come from the one path that
  // losses take.
  double expected = 0;
  for (int32_t token = 0; token < 23; ++token) {
    Sequence s;
    s.tokens = {3, token};
    s.scored = {{1, 2, Term::completion}};
    const std::vector<Sequence> one = {s};
    const Batch batch = make_batch(make_forest(one, Sharing::off));
    const double p = token_logp(*pi, batch).item<double>(), q = token_logp(*ref, batch).item<double>();
    expected += std::exp(p) * (p - q);
  }
  EXPECT_NEAR(kl[0].item<double>(), expected, testing::tolerance<double>(23 * 16));
  EXPECT_GT(expected, 0.01);
}

TEST(TokenKl, IsZeroOnlyFromItself) {
  const auto pi = tiny_model(at::kFloat, tiny_config(), 1), ref = tiny_model(at::kFloat, tiny_config(), 2);
  const Batch batch = batch_of(300);  // more rows than are taken at once
  EXPECT_EQ(token_kl(*pi, *pi, batch).abs().max().item<float>(), 0);
  EXPECT_GT(token_kl(*pi, *ref, batch).min().item<float>(), 0);
}

TEST(TokenKl, OfAPaddedVocabularyIsOverTheIdsThatBothHave) {
  const auto model = tiny_model(at::kFloat), reference = tiny_model(at::kFloat, tiny_config(), 2);
  ModelConfig wide = tiny_config();
  wide.vocab_size = 29;
  NamedTensors weights = reference->weights();
  Tensor& table = weights.at("model.embed_tokens.weight");
  table = at::cat({table, at::ones({6, table.size(1)})});  // rows of ids that no text has
  const Tensor padded = token_kl(*model, Transformer(wide, weights), batch_of(1));
  EXPECT_TRUE(at::equal(padded, token_kl(*model, *reference, batch_of(1))));
}

}  // namespace
}  // namespace prefer
