// Every op's gradient in f64 against finite differences.
#include "prefer/core/error.hpp"
#include "prefer/ops/attention.hpp"
#include "prefer/ops/differentiable.hpp"
#include "prefer/ops/embedding.hpp"
#include "prefer/ops/linear.hpp"
#include "prefer/ops/linear_logprob.hpp"
#include "prefer/ops/norm.hpp"
#include "prefer/ops/rope.hpp"
#include "prefer/ops/swiglu.hpp"
#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::expect_gradient;
using testing::normal;

// A scalar that weighs every element differently.
Tensor weighed(const Tensor& y, uint64_t seed = 77) { return (y * normal(y.sizes(), seed)).sum(); }

Tensor ids(std::vector<int64_t> values) { return tensor_of(values, at::kLong); }

TEST(OpGradient, Linear) {
  expect_gradient([](const auto& x) { return weighed(linear(x[0], Matrix(x[1]), x[2])); },
                  {normal({3, 4}, 1), normal({5, 4}, 2), normal({5}, 3)});
}

TEST(OpGradient, LinearOfStackedWeights) {
  expect_gradient(
      [](const auto& x) {
        return weighed(linear(x[0], Matrix({x[1], x[2]})));
      },
      {normal({1, 4}, 1), normal({5, 4}, 2), normal({2, 4}, 3)});
}

TEST(OpGradient, LinearComputesOnlyWhatIsWanted) {
  const Tensor x = normal({3, 4}, 1).requires_grad_();
  const Tensor w = normal({5, 4}, 2);
  weighed(linear(x, Matrix(w))).backward();
  EXPECT_TRUE(x.grad().defined());
  EXPECT_FALSE(w.grad().defined());
}

TEST(OpGradient, RmsNorm) {
  expect_gradient([](const auto& x) { return weighed(rms_norm(x[0], x[1], 1e-5)); },
                  {normal({3, 8}, 1), normal({8}, 2)});
}

TEST(OpGradient, AddRmsNorm) {
  const auto f = [](const auto& x) {
    const auto [sum, normed] = add_rms_norm(x[0], x[1], x[2], 1e-5);
    return weighed(sum, 5) + weighed(normed, 6);
  };
  expect_gradient(f, {normal({3, 8}, 1), normal({3, 8}, 2), normal({8}, 3)});
}

TEST(OpGradient, AddRmsNormOfWhichOnlyTheSumIsUsed) {
  const auto f = [](const auto& x) { return weighed(add_rms_norm(x[0], x[1], x[2], 1e-5).first); };
  expect_gradient(f, {normal({3, 8}, 1), normal({3, 8}, 2), normal({8}, 3)});
}

TEST(OpGradient, SwiGlu) {
  expect_gradient([](const auto& x) { return weighed(swiglu(x[0])); }, {normal({3, 10}, 1)});
}

TEST(OpGradient, Rope) {
  const Tensor position = ids({0, 5, 2});
  const RopeTable table = make_rope_table({.dim = 6}, 8, at::kDouble, at::kCPU);
  expect_gradient([&](const auto& x) { return weighed(rope(x[0], position, table)); },
                  {normal({3, 2, 6}, 1)});
}

TEST(OpGradient, SplitRope) {
  const Tensor position = ids({0, 5, 2});
  const RopeTable table = make_rope_table({.dim = 4}, 8, at::kDouble, at::kCPU);
  const auto f = [&](const auto& x) {
    const QueryKeyValue qkv = split_rope(x[0], 4, 2, position, table);
    return weighed(qkv.query, 1) + weighed(qkv.key, 2) + weighed(qkv.value, 3);
  };
  expect_gradient(f, {normal({3, 32}, 1)});
  expect_gradient([&](const auto& x) { return weighed(split_rope(x[0], 4, 2, position, table).key); },
                  {normal({3, 32}, 1)});
}

TEST(OpGradient, AttentionOverAForest) {
  AttentionRuns runs;  // a prompt of 3 with two continuations of 2 and 1
  using Span = kernels::attention::Span;
  runs.add(0, 3, 0, std::vector<Span>{{0, 3}});
  runs.add(3, 2, 3, std::vector<Span>{{0, 3}, {3, 2}});
  runs.add(5, 1, 3, std::vector<Span>{{0, 3}, {5, 1}});
  expect_gradient([&](const auto& x) { return weighed(attention(x[0], x[1], x[2], runs)); },
                  {normal({6, 4, 5}, 1), normal({6, 2, 5}, 2), normal({6, 2, 5}, 3)});
}

TEST(OpGradient, Embedding) {
  const Tensor tokens = ids({2, 0, 2, 3});
  expect_gradient([&](const auto& x) { return weighed(embed(x[0], tokens)); }, {normal({5, 3}, 1)});
}

// As the last token of a prompt that many answers share: in bf16 a sum of ones would stop at 256.
TEST(OpGradient, EmbeddingOfHiddenStatesSumsWide) {
  const Tensor leaf = at::zeros({5, 3}, at::kBFloat16).requires_grad_();
  const Tensor hidden = (leaf * 1).narrow(0, 0, 4);
  embed(hidden, at::ones({300}, at::kLong)).sum().backward();
  Tensor wanted = at::zeros({5, 3}, at::kBFloat16);
  wanted[1].fill_(300);
  EXPECT_TRUE(at::equal(leaf.grad(), wanted));
}

class LogprobGradient : public ::testing::TestWithParam<LogprobOptions> {};

TEST_P(LogprobGradient, OfHiddenAndHead) {
  const Tensor label = ids({1, 6, 0, 3, 3});
  const auto f = [&](const auto& x) {
    const Logprobs got = linear_logprob(x[0], Matrix(x[1]), label, GetParam());
    return GetParam().entropy ? weighed(got.logp, 1) + weighed(got.entropy, 2) : weighed(got.logp, 1);
  };
  const Tensor hidden = normal({5, 4}, 1), head = normal({7, 4}, 2);
  expect_gradient(f, {hidden, head});
  expect_gradient([&](const auto& x) { return f(std::vector<Tensor>{x[0], head}); }, {hidden});
  expect_gradient([&](const auto& x) { return f(std::vector<Tensor>{hidden, x[0]}); }, {head});
}

// One chunk of 5 rows, or chunks of two rows: 2 * 7 * 8 bytes.
INSTANTIATE_TEST_SUITE_P(
    Cuts, LogprobGradient,
    ::testing::Values(LogprobOptions{}, LogprobOptions{.temperature = 0.7, .entropy = true},
                      LogprobOptions{.logits_bytes = 112},
                      LogprobOptions{.temperature = 1.3, .entropy = true, .logits_bytes = 112}));

class SecondModelGradient : public ::testing::TestWithParam<LogprobOptions> {};

TEST_P(SecondModelGradient, OfHiddenAndHead) {
  const Tensor label = ids({6, 0, 3, 3, 1}), theirs = normal({5, 3}, 8), head = normal({7, 4}, 2);
  for (const int64_t vocab : {6, 7, 9}) {  // fewer ids than the first, as many, more
    SecondModel second{theirs, Matrix(normal({vocab, 3}, 9)), vocab > 6};  // with 6, id 6 is not in both
    const auto f = [&](const auto& x) {
      const Logprobs got = linear_logprob(x[0], Matrix(x[1]), label, GetParam(), second);
      Tensor sum = weighed(got.kl, 6);
      if (second.estimates) sum = sum + weighed(got.k1, 7) + weighed(got.k2, 8) + weighed(got.k3, 9);
      return sum;
    };
    const auto with_logp = [&](const auto& x) {
      const Logprobs got = linear_logprob(x[0], Matrix(x[1]), label, GetParam(), second);
      return weighed(got.logp) + weighed(got.kl, 6);
    };
    const Tensor hidden = normal({5, 4}, 1);
    expect_gradient(f, {hidden, head});
    expect_gradient(with_logp, {hidden, head});
    expect_gradient([&](const auto& x) { return with_logp(std::vector<Tensor>{x[0], head}); }, {hidden});
    expect_gradient([&](const auto& x) { return f(std::vector<Tensor>{hidden, x[0]}); }, {head});
  }
}

// One chunk of 5 rows, or chunks of two: 2 * (7 + 7) * 8 bytes.
INSTANTIATE_TEST_SUITE_P(Cuts, SecondModelGradient,
                         ::testing::Values(LogprobOptions{},
                                           LogprobOptions{.temperature = 0.7, .entropy = true},
                                           LogprobOptions{.temperature = 1.3, .logits_bytes = 224}));

TEST(OpGradient, CheckpointedIsTheSameGradient) {
  const Tensor x = normal({3, 4}, 1).requires_grad_(), w = normal({5, 4}, 2).requires_grad_();
  const Matrix matrix(w);
  const Body body = [&](const std::vector<Tensor>& in) {
    return std::vector<Tensor>{at::tanh(linear(in[0], matrix)), in[0] * 2};
  };
  const auto run = [&](bool checkpoint) {
    x.mutable_grad() = w.mutable_grad() = Tensor();
    const auto out = checkpoint ? checkpointed(body, {x}, {w}) : body({x});
    (weighed(out[0], 3) + weighed(out[1], 4)).backward();
    return std::pair{x.grad().clone(), w.grad().clone()};
  };
  const auto plain = run(false), again = run(true);
  EXPECT_TRUE(at::equal(plain.first, again.first));
  EXPECT_TRUE(at::equal(plain.second, again.second));
}

TEST(OpGradient, ASecondBackwardIsRefused) {
  const Tensor x = normal({3, 4}, 1).requires_grad_();
  const Tensor y = weighed(swiglu(x));
  y.backward({}, /*retain_graph=*/true);
  EXPECT_THROW(y.backward(), Error);
}

}  // namespace
}  // namespace prefer
