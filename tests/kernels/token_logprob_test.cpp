// token_logprob: CPU and group twins against the reference over one list of cases, gradients, properties,
// edges.
#include "golden/kernels.hpp"
#include "kernels/token_logprob/body.hpp"
#include "tests/kernels/token_logprob_cases.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace prefer::kernels::token_logprob {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(TokenLogprob, Types);

TYPED_TEST(TokenLogprob, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) {
      cpu::forward(data.forward(isa));
      cpu::backward(data.backward(isa));
    });
  }
}

TYPED_TEST(TokenLogprob, GroupsAreTheReference) {
  for (const int size : {1, 5}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) {
          forward_row(data.forward(), row, group);
          group.reduce(0, Plus{});  // lse is read by all of the group
          backward_row(data.backward(), row, group);
        }
      });
    });
  }
}

TYPED_TEST(TokenLogprob, GradientInPlaceHasTheSameBits) {
  Data<TypeParam> apart({3, 1025, 1025}), in_place({3, 1025, 1025});
  cpu::forward(apart.forward());
  cpu::backward(apart.backward());
  cpu::forward(in_place.forward());
  auto args = in_place.backward();
  args.grad = in_place.logits.data();
  cpu::backward(args);
  EXPECT_TRUE(same_bits(apart.grad, in_place.logits));
}

TYPED_TEST(TokenLogprob, GradientOfPartsOfTheVocabularyHasTheBitsOfTheWhole) {
  const auto expect_same = [](auto backward) {
    Data<TypeParam> whole({3, 1025, 1031}), parts({3, 1025, 1031});
    cpu::forward(whole.forward());
    cpu::forward(parts.forward());
    backward(whole.backward());
    const std::vector<std::int64_t> label = parts.label;
    for (std::int64_t begin = 0, size = 1; begin < 1025;
         begin += size, size = std::min(2 * size + 1, 1025 - begin)) {
      auto args = parts.backward();
      args.logits += begin, args.grad += begin, args.vocab = size;
      for (std::size_t row = 0; row < 3; ++row) parts.label[row] = label[row] - begin;
      backward(args);
    }
    EXPECT_TRUE(same_bits(whole.grad, parts.grad));
  };
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    expect_same([isa](Backward<TypeParam> args) {
      args.isa = isa;
      cpu::backward(args);
    });
  }
  expect_same([](const Backward<TypeParam>& args) { reference::backward(args); });
  expect_same([](const Backward<TypeParam>& args) {
    for (std::int64_t row = 0; row < args.rows; ++row) backward_row(args, row, OneThread{});
  });
}

TYPED_TEST(TokenLogprob, BitsDependOnNeitherThreadsNorOtherRows) {
  for (const Isa isa : isas()) {
    Data<TypeParam> one({5, 3001, 3007}), two({5, 3001, 3007});
    with_threads(1, [&] { cpu::forward(one.forward(isa)), cpu::backward(one.backward(isa)); });
    with_threads(2, [&] { cpu::forward(two.forward(isa)), cpu::backward(two.backward(isa)); });
    EXPECT_TRUE(same_bits(one.logp, two.logp) && same_bits(one.entropy, two.entropy) &&
                same_bits(one.grad, two.grad));
    Data<TypeParam> alone({1, 3001, 3001});
    std::copy_n(one.logits.begin() + 3 * 3007, 3001, alone.logits.begin());
    alone.label[0] = one.label[3];
    cpu::forward(alone.forward(isa));
    EXPECT_EQ(alone.logp[0], one.logp[3]);
    EXPECT_EQ(alone.lse[0], one.lse[3]);
    EXPECT_EQ(alone.entropy[0], one.entropy[3]);
  }
}

TYPED_TEST(TokenLogprob, EntropyOfTheUniformDistributionIsTheLogarithmOfItsSize) {
  for (const std::int64_t vocab : {1, 2, 1000, 49152}) {
    Data<TypeParam> data({1, vocab, vocab});
    std::fill(data.logits.begin(), data.logits.end(), narrow<TypeParam>(1.5));
    cpu::forward(data.forward());
    const double log = std::log(static_cast<double>(vocab));
    EXPECT_TRUE(near(data.entropy[0], log, tolerance<float>(1) * (1 + log)));
    EXPECT_TRUE(near(data.logp[0], -log, tolerance<float>(1) * (1 + log)));
    EXPECT_EQ(data.argmax[0], 0);
  }
}

TYPED_TEST(TokenLogprob, ArgmaxTakesTheLowestIndexAmongEquals) {
  for (const Isa isa : isas()) {
    Data<TypeParam> data({1, 5000, 5000});
    for (const int j : {4999, 3000, 2047}) data.at(0, j) = narrow<TypeParam>(64);
    cpu::forward(data.forward(isa));
    EXPECT_EQ(data.argmax[0], 2047);
  }
}

TYPED_TEST(TokenLogprob, RowsWithoutADistributionGiveNan) {
  for (const Isa isa : isas()) {
    for (const double bad : {kInf, std::numeric_limits<double>::quiet_NaN(), -kInf}) {
      Data<TypeParam> data({2, 2000, 2000});
      for (int j = 0; j < 2000; ++j) {
        if (j == 1500 || bad == -kInf) data.at(0, j) = narrow<TypeParam>(bad);
      }
      cpu::forward(data.forward(isa));
      EXPECT_TRUE(std::isnan(data.logp[0]) && std::isnan(data.lse[0]) && std::isnan(data.entropy[0])) << bad;
      EXPECT_FALSE(std::isnan(data.logp[1]));
    }
  }
}

TEST(TokenLogprobReference, GradientIsTheFiniteDifference) {
  Data<double> data({2, 7, 9, 2, 0.7f});
  const auto objective = [&] {
    reference::forward(data.forward());
    double sum = 0;
    for (std::size_t row = 0; row < 2; ++row) {
      sum += data.grad_logp[row] * data.logp[row] + data.grad_entropy[row] * data.entropy[row];
    }
    return sum;
  };
  objective();
  reference::backward(data.backward());
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t j = 0; j < 7; ++j) {
      EXPECT_NEAR(data.grad[static_cast<std::size_t>(row * 9 + j)], slope(objective, data.at(row, j)), 1e-8);
    }
  }
}

TEST(TokenLogprobReference, IsTorchsLogSoftmaxEntropyAndGradient) {
  Data<double> data({2, 9, 9});
  std::copy(std::begin(golden::kLogits), std::end(golden::kLogits), data.logits.begin());
  data.label = {3, 0};
  data.grad_logp = {2, -1};
  data.grad_entropy = {0.5, -3};
  auto forward = data.forward();
  auto backward = data.backward();
  forward.inv_temperature = backward.inv_temperature = 1 / 0.7;
  reference::forward(forward);
  reference::backward(backward);
  for (std::size_t row = 0; row < 2; ++row) {
    EXPECT_NEAR(data.logp[row], golden::kLogp[row], 1e-13);
    EXPECT_NEAR(data.entropy[row], golden::kEntropy[row], 1e-13);
  }
  for (std::size_t i = 0; i < 18; ++i) EXPECT_NEAR(data.grad[i], golden::kLogitsGrad[i], 1e-13);
}

TEST(TokenLogprobReference, GradientRowsSumToZero) {
  Data<double> data({3, 1000, 1000});
  reference::forward(data.forward());
  reference::backward(data.backward());
  for (int row = 0; row < 3; ++row) {
    const auto begin = data.grad.begin() + row * 1000;
    EXPECT_NEAR(std::accumulate(begin, begin + 1000, 0.0), 0, 1e-13);
  }
}

TEST(TokenLogprobErrors, NameTheRow) {
  Data<float> data({2, 10, 10});
  data.label[1] = 10;
  EXPECT_THROW(reference::forward(data.forward()), std::invalid_argument);
  try {
    cpu::forward(data.forward());
    FAIL();
  } catch (const std::invalid_argument& error) {
    EXPECT_STREQ(error.what(), "label of row 1 is 10, not in [0, 10)");
  }
}

TEST(TokenLogprobErrors, SayWhatWasSeen) {
  Data<float> data({2, 10, 10});
  const auto said = [](auto args) -> std::string {
    try {
      cpu::forward(args);
    } catch (const std::invalid_argument& error) {
      return error.what();
    }
    return "";
  };
  auto args = data.forward();
  args.stride = 9;
  EXPECT_EQ(said(args), "token_logprob wants a stride of at least vocab, not stride 9, vocab 10");
  args = data.forward();
  args.lse = nullptr;
  EXPECT_EQ(
      said(args),
      "token_logprob wants logits, label, logp and lse, not logits given, label given, logp given, lse null");
  args = data.forward();
  args.inv_temperature = -0.5f;
  EXPECT_EQ(said(args), "token_logprob wants inv_temperature > 0, not inv_temperature -0.5");
}

}  // namespace
}  // namespace prefer::kernels::token_logprob
