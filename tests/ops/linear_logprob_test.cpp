// linear_logprob against log_softmax, its cuts against each other, and its errors.
#include "prefer/ops/linear_logprob.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/sample.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/peak.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace prefer {
namespace {

using testing::error_of;
using testing::normal;

TEST(LinearLogprob, IsTheLogSoftmaxAtTheLabel) {
  const Tensor hidden = normal({9, 16}, 1), head = normal({33, 16}, 2);
  const Tensor label = at::arange(9, at::kLong) * 3;
  const Logprobs got = linear_logprob(hidden, Matrix(head), label, {.temperature = 0.8, .entropy = true});
  const Tensor all = at::log_softmax(at::mm(hidden, head.t()) / 0.8, 1);
  EXPECT_LE((got.logp - all.gather(1, label.unsqueeze(1)).squeeze(1)).abs().max().item<double>(), 1e-12);
  EXPECT_LE((got.entropy + (all.exp() * all).sum(1)).abs().max().item<double>(), 1e-12);
}

TEST(LinearLogprob, ArgmaxIsTheLikeliestTokenHoweverLogitsAreCut) {
  for (const at::ScalarType type : {at::kDouble, at::kFloat, at::kBFloat16}) {
    const Tensor hidden = normal({50, 64}, 1, type), label = at::arange(50, at::kLong);
    const Matrix head(normal({513, 64}, 2, type));
    const auto argmax = [&](int64_t bytes) {
      return linear_logprob(hidden, head, label, {.argmax = true, .logits_bytes = bytes}).argmax;
    };
    const Tensor likeliest = std::get<1>(at::max(times_transposed(hidden, head), 1));
    EXPECT_TRUE(at::equal(argmax(int64_t{1} << 28), likeliest));
    EXPECT_TRUE(at::equal(argmax(7 * 513 * 8), likeliest));
    EXPECT_FALSE(linear_logprob(hidden, head, label).argmax.defined());
  }
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

// Two models that differ in width and in how many ids they have: the second's head has 29 rows, the
// first's 33.
struct Two {
  explicit Two(at::ScalarType type, int64_t rows = 9)
      : hidden(normal({rows, 16}, 1, type)),
        head(normal({33, 16}, 2, type).mul_(0.3)),
        label(at::arange(rows, at::kLong) * 3 % 29),
        second{normal({rows, 12}, 3, type), Matrix(normal({29, 12}, 4, type).mul_(0.3)), true} {}
  Logprobs operator()(const LogprobOptions& options = {}) const {
    return linear_logprob(hidden, Matrix(head), label, options, second);
  }

  Tensor hidden, head, label;
  SecondModel second;
};

TEST(LinearLogprob, KlToASecondModelIsTheSumOverTheIdsThatBothHave) {
  const Two two(at::kDouble);
  const Logprobs got = two({.temperature = 0.8});
  const Tensor p = at::log_softmax(at::mm(two.hidden, two.head.t()).narrow(1, 0, 29) / 0.8, 1);
  const Tensor q = at::log_softmax(at::mm(two.second.hidden, two.second.head.weight().t()) / 0.8, 1);
  const Tensor r = (p - q).gather(1, two.label.unsqueeze(1)).squeeze(1);
  const auto expect_near = [](const Tensor& a, const Tensor& b) {
    EXPECT_LE((a - b).abs().max().item<double>(), 1e-12);
  };
  expect_near(got.kl, (p.exp() * (p - q)).sum(1));
  expect_near(got.k1, r);
  expect_near(got.k2, r * r / 2);
  expect_near(got.k3, (-r).exp() - 1 + r);
}

TEST(LinearLogprob, ASecondModelChangesNoBitsAndCutsChangeNoneOfIts) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const Two two(type, 50);
    const Logprobs whole = two(), alone = linear_logprob(two.hidden, Matrix(two.head), two.label);
    EXPECT_TRUE(at::equal(whole.logp, alone.logp));
    EXPECT_FALSE(alone.kl.defined() || alone.k1.defined());
    for (const int64_t rows : {2, 7, 33}) {
      const int64_t bytes = rows * (33 + 29) * static_cast<int64_t>(two.hidden.element_size());
      const Logprobs cut = two({.logits_bytes = bytes});
      EXPECT_TRUE(at::equal(cut.logp, whole.logp) && at::equal(cut.kl, whole.kl) &&
                  at::equal(cut.k3, whole.k3))
          << rows;
    }
  }
}

// Both models' logits of 1,536 rows over SmolLM2's vocabulary take 576 MiB.
TEST(LinearLogprob, HoldsNoMoreThanItsBudgetOfTwoModels) {
  const Tensor ours = normal({1536, 16}, 1, at::kFloat).requires_grad_(), label = at::arange(1536, at::kLong);
  const SecondModel second{normal({1536, 16}, 3, at::kFloat), Matrix(normal({49152, 16}, 4, at::kFloat)),
                           true};
  for (const bool trained : {true, false}) {
    const Tensor weight = normal({49152, 16}, 2, at::kFloat).requires_grad_(trained);
    const Matrix head(weight);
    const auto peak = [&](int64_t budget) {
      return testing::peak_beyond([&] {
        const Logprobs got = linear_logprob(ours, head, label, {.logits_bytes = budget}, second);
        (got.logp + got.kl + got.k2).sum().backward();
      });
    };
    const int64_t cut = peak(LogprobOptions{}.logits_bytes), whole = peak(int64_t{1} << 40);
    if (cut < 0) GTEST_SKIP() << "this system does not tell the peak of a process's memory";
    EXPECT_LE(cut, int64_t{300} << 20);
    EXPECT_GE(whole, int64_t{570} << 20);  // the measure sees what it should
  }
}

Tensor label_of(int64_t rows, int64_t vocab) { return at::arange(rows, at::kLong) * 7 % vocab; }

// sum(dlogp logp + dentropy entropy), or that of a second model's kl and k2, with an upstream of each row's
// own.
Tensor objective_of(const Logprobs& got) {
  const auto weighed = [](const Tensor& t, uint64_t seed) {
    return (t * normal(t.sizes(), seed).to(t.scalar_type())).sum();
  };
  if (got.kl.defined()) return weighed(got.kl, 7) + weighed(got.k2, 8);
  return got.entropy.defined() ? weighed(got.logp, 5) + weighed(got.entropy, 6) : weighed(got.logp, 5);
}

// Of hidden and head, or what is like them.
struct Pair {
  Tensor hidden, head;
};

Pair gradients(const Pair& at, bool trained, const LogprobOptions& options, const SecondModel& second = {}) {
  const Tensor hidden = at.hidden.detach().requires_grad_(), head = at.head.detach().requires_grad_(trained);
  const Tensor label = label_of(hidden.size(0), head.size(0));
  objective_of(linear_logprob(hidden, Matrix(head), label, options, second)).backward();
  return {hidden.grad(), head.grad()};
}

// What the products of the gradients add up, without signs, by LibTorch's own derivative in double; times the
// largest logit, as a logit's rounding is a part of its probability.
Pair magnitudes(const Pair& at, const LogprobOptions& options, const SecondModel& second = {}) {
  const Tensor hidden = at.hidden.to(at::kDouble), head = at.head.to(at::kDouble);
  const Tensor logits = at::mm(hidden, head.t()).requires_grad_();
  const Tensor all = at::log_softmax(logits / options.temperature, 1);
  const auto at_label = [&](const Tensor& t) {
    return t.gather(1, label_of(hidden.size(0), head.size(0)).unsqueeze(1)).squeeze(1);
  };
  Logprobs got{at_label(all)};
  if (options.entropy) got.entropy = -(all.exp() * all).sum(1);
  if (second.head.defined()) {
    const Tensor theirs =
        at::mm(second.hidden.to(at::kDouble), second.head.weight().to(at::kDouble).t()) / options.temperature;
    const Tensor ratio = all - at::log_softmax(theirs, 1);
    got.kl = (all.exp() * ratio).sum(1);
    got.k2 = at_label(ratio).square() / 2;
  }
  objective_of(got).backward();
  const Tensor dlogits = logits.grad().abs();
  const Tensor largest = (logits.detach() / options.temperature).abs().max();
  return {at::mm(dlogits, head.abs()) * largest, at::mm(dlogits.t(), hidden.abs()) * largest};
}

template <class T>
void expect_close(const Tensor& got, const Tensor& want, int64_t length, const Tensor& magnitude) {
  EXPECT_EQ(got.scalar_type(), want.scalar_type());
  const double off = (got.to(at::kDouble) - want.to(at::kDouble)).abs().max().item<double>();
  EXPECT_LE(off, testing::tolerance<T>(length) * magnitude.max().item<double>());
}

template <class T>
void expect_cuts_agree(at::ScalarType type) {
  const Pair at{normal({50, 64}, 1, type), normal({513, 64}, 2, type).mul_(0.3)};
  const int64_t row = 513 * at.hidden.element_size();
  for (const auto& [trained, entropy] :
       {std::pair{true, true}, {true, false}, {false, true}, {false, false}}) {
    LogprobOptions options{.temperature = 0.9, .entropy = entropy};
    const Pair whole = gradients(at, trained, options), magnitude = magnitudes(at, options);
    EXPECT_EQ(whole.head.defined(), trained);
    for (const int64_t bytes : {int64_t{1}, 2 * row, 7 * row, 33 * row, 49 * row}) {
      SCOPED_TRACE(::testing::Message()
                   << type << " trained " << trained << " entropy " << entropy << " " << bytes);
      options.logits_bytes = bytes;
      const Pair cut = gradients(at, trained, options);
      expect_close<T>(cut.hidden, whole.hidden, 513, magnitude.hidden);
      if (trained) expect_close<T>(cut.head, whole.head, 50, magnitude.head);
    }
  }
}

template <class T>
void expect_cuts_of_two_agree(at::ScalarType type) {
  const Pair at{normal({50, 64}, 1, type), normal({513, 64}, 2, type).mul_(0.3)};
  const SecondModel second{normal({50, 48}, 3, type), Matrix(normal({513, 48}, 4, type).mul_(0.3)), true};
  const int64_t row = 2 * 513 * at.hidden.element_size();
  LogprobOptions options{.temperature = 0.9};
  const Pair magnitude = magnitudes(at, options, second);
  for (const bool trained : {true, false}) {
    const Pair whole = gradients(at, trained, options, second);
    EXPECT_EQ(whole.head.defined(), trained);
    for (const int64_t bytes : {int64_t{1}, 7 * row, 33 * row}) {
      SCOPED_TRACE(::testing::Message() << type << " trained " << trained << " " << bytes);
      options.logits_bytes = bytes;
      const Pair cut = gradients(at, trained, options, second);
      expect_close<T>(cut.hidden, whole.hidden, 513, magnitude.hidden);
      if (trained) expect_close<T>(cut.head, whole.head, 50, magnitude.head);
    }
    options.logits_bytes = LogprobOptions{}.logits_bytes;
  }
}

TEST(LinearLogprob, CutsOfAnySizeGiveTheGradientOfTwoModelsInOneChunk) {
  expect_cuts_of_two_agree<double>(at::kDouble);
  expect_cuts_of_two_agree<float>(at::kFloat);
  expect_cuts_of_two_agree<kernels::bf16>(at::kBFloat16);
}

TEST(LinearLogprob, CutsOfAnySizeGiveTheGradientOfOneChunk) {
  expect_cuts_agree<double>(at::kDouble);
  expect_cuts_agree<float>(at::kFloat);
  expect_cuts_agree<kernels::bf16>(at::kBFloat16);
}

// The logits of 4,096 rows over SmolLM2's vocabulary take 768 MiB; narrow hidden states keep the products
// small.
TEST(LinearLogprob, HoldsNoMoreThanItsBudget) {
  const Tensor hidden = normal({4096, 16}, 1, at::kFloat).requires_grad_(),
               label = at::arange(4096, at::kLong);
  for (const bool trained : {true, false}) {
    const Tensor weight = normal({49152, 16}, 2, at::kFloat).requires_grad_(trained);
    const Matrix head(weight);
    const auto peak = [&](int64_t budget) {
      return testing::peak_beyond(
          [&] { linear_logprob(hidden, head, label, {.logits_bytes = budget}).logp.sum().backward(); });
    };
    const int64_t cut = peak(LogprobOptions{}.logits_bytes), whole = peak(int64_t{1} << 40);
    if (cut < 0) GTEST_SKIP() << "this system does not tell the peak of a process's memory";
    EXPECT_LE(cut, int64_t{300} << 20);
    EXPECT_GE(whole, int64_t{768} << 20);  // the measure sees what it should
  }
}

// At SmolLM2's width a frozen head's two packed forms are 216 MiB of it. What 4,096 rows take besides is
// their dlogp/dhidden alone; a piece of logits is as large for these few.
TEST(LinearLogprob, HoldsNoMoreThanThatWithAFrozenHeadsPackedForms) {
  constexpr int64_t kWidth = 576, kRows = 330, kAllRows = 4096;
  const Tensor hidden = at::ones({kRows, kWidth}).requires_grad_(), label = at::arange(kRows, at::kLong);
  const Matrix head(at::full({49152, kWidth}, 0.01f));
  const int64_t peak = testing::peak_beyond([&] {
    linear_logprob(hidden, head, label, {.logits_bytes = int64_t{32} << 20}).logp.sum().backward();
  });
  if (peak < 0) GTEST_SKIP() << "this system does not tell the peak of a process's memory";
  EXPECT_LE(peak + (kAllRows - kRows) * kWidth * 4, int64_t{300} << 20);
  EXPECT_GE(peak, int64_t{216} << 20);  // the measure sees what it should
  std::cout << "a frozen head: " << (peak >> 20) << " MiB\n";
}

TEST(LinearLogprob, NothingScoredIsNothing) {
  const Logprobs got =
      linear_logprob(normal({0, 4}, 1), Matrix(normal({7, 4}, 2)), at::empty({0}, at::kLong));
  EXPECT_EQ(got.logp.size(0), 0);
}

TEST(LinearLogprob, AFrozenHeadGivesValuesAndNoGradient) {
  const Tensor hidden = normal({9, 16}, 1, at::kFloat), label = label_of(9, 33);
  const Matrix head(normal({33, 16}, 2, at::kFloat)), frozen = head.frozen();
  for (const int64_t bytes : {int64_t{1}, LogprobOptions{}.logits_bytes}) {
    const LogprobOptions options{.logits_bytes = bytes};
    EXPECT_TRUE(at::equal(linear_logprob(hidden, frozen, label, options).logp,
                          linear_logprob(hidden, head, label, options).logp));
    EXPECT_EQ(
        error_of([&] { linear_logprob(hidden.detach().clone().requires_grad_(), frozen, label, options); }),
        "linear_logprob wants a head with its weight for a gradient, not a frozen Matrix");
  }
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
  const auto with = [&](const Tensor& theirs, const Matrix& their_head, bool estimates = false) {
    return error_of([&] {
      linear_logprob(normal({3, 4}, 2), head, at::full({3}, 6, at::kLong), {},
                     {theirs, their_head, estimates});
    });
  };
  EXPECT_EQ(with(normal({2, 5}, 3), Matrix(normal({7, 5}, 4))),
            "linear_logprob wants a second model's Double [3, D] and [V, D], not Double [2, 5] and [7, 5]");
  EXPECT_EQ(with(normal({3, 5}, 3, at::kFloat), Matrix(normal({7, 5}, 4, at::kFloat))),
            "linear_logprob wants a second model's Double [3, D] and [V, D], not Float [3, 5] and [7, 5]");
  EXPECT_EQ(with(normal({3, 5}, 3), Matrix(normal({6, 5}, 4)), true),
            "linear_logprob: label of row 0 is 6, not in [0, 6)");
  EXPECT_EQ(with(normal({3, 5}, 3), Matrix(normal({6, 5}, 4))), "");
  EXPECT_EQ(with(normal({3, 5}, 3), Matrix()),
            "linear_logprob wants a second model's Double [3, D] and [V, D], not Double [3, 5] and [0, 0]");
  const Tensor trained = normal({7, 4}, 1).requires_grad_();
  EXPECT_THROW(linear_logprob(normal({1, 4}, 2), Matrix({trained, trained}), at::zeros({1}, at::kLong)),
               Error);
}

}  // namespace
}  // namespace prefer
