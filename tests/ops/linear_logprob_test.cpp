// linear_logprob against log_softmax, its cuts against each other, and its errors.
#include "prefer/ops/linear_logprob.hpp"

#include "prefer/core/error.hpp"
#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::normal;

TEST(LinearLogprob, IsTheLogSoftmaxAtTheLabel) {
  const Tensor hidden = normal({9, 16}, 1), head = normal({33, 16}, 2);
  const Tensor label = at::arange(9, at::kLong) * 3;
  const Logprobs got = linear_logprob(hidden, Matrix(head), label, {.temperature = 0.8, .entropy = true});
  const Tensor all = at::log_softmax(at::mm(hidden, head.t()) / 0.8, 1);
  EXPECT_LE((got.logp - all.gather(1, label.unsqueeze(1)).squeeze(1)).abs().max().item<double>(), 1e-12);
  EXPECT_LE((got.entropy + (all.exp() * all).sum(1)).abs().max().item<double>(), 1e-12);
}

TEST(LinearLogprob, CutsKeepEveryBitOfARow) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Tensor hidden = normal({50, 64}, 1, type), label = at::arange(50, at::kLong);
    const Matrix head(normal({513, 64}, 2, type));
    const Tensor whole = linear_logprob(hidden, head, label).logp;
    const int64_t row = 513 * static_cast<int64_t>(hidden.element_size());
    for (const int64_t rows : {2, 7, 33}) {
      EXPECT_TRUE(at::equal(linear_logprob(hidden, head, label, {.logits_bytes = rows * row}).logp, whole))
          << rows;
    }
    EXPECT_TRUE(at::equal(linear_logprob(hidden.narrow(0, 4, 1), head, label.narrow(0, 4, 1)).logp,
                          whole.narrow(0, 4, 1)));
  }
}

TEST(LinearLogprob, NothingScoredIsNothing) {
  const Logprobs got =
      linear_logprob(normal({0, 4}, 1), Matrix(normal({7, 4}, 2)), at::empty({0}, at::kLong));
  EXPECT_EQ(got.logp.size(0), 0);
}

TEST(LinearLogprob, ErrorsSayWhatWasAskedAndSeen) {
  const Matrix head(normal({7, 4}, 1));
  try {
    linear_logprob(normal({3, 5}, 2), head, at::zeros({3}, at::kLong));
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(),
                 "linear_logprob wants [M, D], [V, D] and int64 [M], not [3, 5], [7, 4] and [3] Long");
  }
  EXPECT_THROW(linear_logprob(normal({1, 4}, 2), head, at::full({1}, 7, at::kLong)), Error);
  EXPECT_THROW(linear_logprob(normal({1, 4}, 2), head, at::zeros({1}, at::kLong), {.temperature = 0}), Error);
}

}  // namespace
}  // namespace prefer
