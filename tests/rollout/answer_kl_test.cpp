// KL of answers, estimated by sampling, against the sum over all answers there are.
#include "prefer/rollout/answer_kl.hpp"

#include "prefer/objectives/logprob.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <numeric>

namespace prefer {
namespace {

using testing::tiny_config;
using testing::tiny_model;

/// log-probabilities of both next tokens after `first`.
std::array<double, 2> logps(const Transformer& model, const std::vector<int32_t>& tokens) {
  Sequence s;
  s.tokens = tokens;
  s.scored = {{1, static_cast<int64_t>(tokens.size()), Term::completion}};
  const std::vector<Sequence> one = {s};
  const Tensor each = token_logp(model, make_batch(make_forest(one, Sharing::off)));
  return {each[0].item<double>(), tokens.size() > 2 ? each[1].item<double>() : 0};
}

TEST(AnswerKl, IsUnbiased) {
  const auto pi = tiny_model(at::kDouble, tiny_config(), 1), ref = tiny_model(at::kDouble, tiny_config(), 2);
  constexpr int32_t kEnd = 2;  // ends an answer of the tiny model
  double exact = 0;            // over all 1 + 22 * 23 answers of up to two tokens
  for (int32_t a = 0; a < 23; ++a) {
    for (int32_t b = 0; b < (a == kEnd ? 1 : 23); ++b) {
      const std::vector<int32_t> tokens =
          a == kEnd ? std::vector<int32_t>{3, a} : std::vector<int32_t>{3, a, b};
      const auto p = logps(*pi, tokens), q = logps(*ref, tokens);
      exact += std::exp(p[0] + p[1]) * (p[0] + p[1] - q[0] - q[1]);
    }
  }
  std::vector<Prompt> prompts;
  for (uint64_t i = 0; i < 400; ++i) prompts.push_back({{3}, i});
  const std::vector<double> kl = answer_kl(*pi, *ref, prompts, 2, 7);
  const double mean = std::accumulate(kl.begin(), kl.end(), 0.0) / 400;
  double square = 0;
  for (const double value : kl) square += (value - mean) * (value - mean);
  EXPECT_NEAR(mean, exact, 4 * std::sqrt(square / 400 / 399));  // four standard errors, of one fixed draw
  EXPECT_GT(exact, 0.01);
  EXPECT_EQ(kl, answer_kl(*pi, *ref, prompts, 2, 7));
  for (const double none : answer_kl(*pi, *pi, prompts, 2, 7)) EXPECT_EQ(none, 0);
}

}  // namespace
}  // namespace prefer
