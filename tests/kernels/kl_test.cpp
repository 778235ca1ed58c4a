// kl: CPU and group twins against the reference over one list of cases, gradients, closed forms, properties.
#include "kernels/kl/body.hpp"
#include "tests/kernels/kl_cases.hpp"

#include <gtest/gtest.h>

#include <numeric>

namespace prefer::kernels::kl {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Kl, Types);

TYPED_TEST(Kl, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) {
      cpu::forward(data.forward(isa));
      cpu::backward(data.backward(isa));
    });
  }
}

TYPED_TEST(Kl, GroupsAreTheReference) {
  for (const int size : {1, 5}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) {
          forward_row(data.forward(), row, group);
          group.reduce(0, Plus{});  // what the row gave is read by all of the group
          backward_row(data.backward(), row, group);
        }
      });
    });
  }
}

TYPED_TEST(Kl, EqualRowsGiveExactlyZero) {
  for (const Isa isa : isas()) {
    Data<TypeParam> data({4, 3001, 3007});
    data.reference = data.policy;
    cpu::forward(data.forward(isa));
    cpu::backward(data.backward(isa));
    for (const float kl : data.kl) EXPECT_EQ(kl, 0.0f);
    for (std::int64_t j = 0; j < 3001; ++j) EXPECT_EQ(widen(data.grad[static_cast<std::size_t>(j)]), 0.0f);
  }
}

TYPED_TEST(Kl, GradientInPlaceHasTheSameBits) {
  Data<TypeParam> apart({3, 1025, 1025}), in_place({3, 1025, 1025});
  apart.of_labels = in_place.of_labels = true;
  cpu::forward(apart.forward());
  cpu::backward(apart.backward());
  cpu::forward(in_place.forward());
  auto args = in_place.backward();
  args.grad = in_place.policy.data();
  cpu::backward(args);
  EXPECT_TRUE(same_bits(apart.grad, in_place.policy));
}

TYPED_TEST(Kl, BitsDependOnNeitherThreadsNorOtherRows) {
  for (const Isa isa : isas()) {
    Data<TypeParam> one({5, 3001, 3001}), two({5, 3001, 3001}), alone({1, 3001, 3001});
    with_threads(1, [&] { cpu::forward(one.forward(isa)), cpu::backward(one.backward(isa)); });
    with_threads(2, [&] { cpu::forward(two.forward(isa)), cpu::backward(two.backward(isa)); });
    EXPECT_TRUE(same_bits(one.kl, two.kl) && same_bits(one.grad, two.grad));
    std::copy_n(one.policy.begin() + 3 * 3001, 3001, alone.policy.begin());
    std::copy_n(one.reference.begin() + 3 * 3001, 3001, alone.reference.begin());
    cpu::forward(alone.forward(isa));
    EXPECT_EQ(alone.kl[0], one.kl[3]);
  }
}

TEST(KlReference, OfTwoOutcomesIsTheClosedForm) {
  Data<double> data({1, 2, 2});
  data.policy = {std::log(0.75), std::log(0.25)};
  data.reference = {std::log(0.5), std::log(0.5)};
  reference::forward(data.forward());
  EXPECT_NEAR(data.kl[0], 0.75 * std::log(1.5) + 0.25 * std::log(0.5), 1e-15);
}

/// The mean over p of Schulman's k1 = log p - log q and of k3 = q / p - 1 + k1 is the KL: row y of equal rows
/// has label y.
TEST(KlReference, LabelsGiveTheUnbiasedEstimatorsTheirTerms) {
  constexpr std::int64_t kVocab = 37;
  Data<double> data({kVocab, kVocab, kVocab, 2, 1, 0.8f});
  for (std::int64_t row = 0; row < kVocab; ++row) {
    std::copy_n(data.policy.begin(), kVocab, data.policy.begin() + row * kVocab);
    std::copy_n(data.reference.begin(), kVocab, data.reference.begin() + row * kVocab);
    data.label[static_cast<std::size_t>(row)] = row;
  }
  reference::forward(data.forward());
  double k1 = 0, k3 = 0, mass = 0;
  for (std::size_t y = 0; y < data.label.size(); ++y) {
    const double p = std::exp(data.policy_logp[y]), off = data.policy_logp[y] - data.reference_logp[y];
    mass += p;
    k1 += p * off;
    k3 += p * (std::exp(-off) - 1 + off);
  }
  EXPECT_NEAR(mass, 1, 1e-13);
  EXPECT_NEAR(k1, data.kl[0], 1e-13);
  EXPECT_NEAR(k3, data.kl[0], 1e-13);
}

TYPED_TEST(Kl, LabelsChangeNothingElse) {
  for (const Isa isa : isas()) {
    Data<TypeParam> with({4, 3001, 3001}), without({4, 3001, 3001});
    cpu::forward(with.forward(isa));
    auto args = without.forward(isa);
    args.label = nullptr, args.policy_logp = args.reference_logp = nullptr;
    cpu::forward(args);
    EXPECT_TRUE(same_bits(with.kl, without.kl) && same_bits(with.policy_lse, without.policy_lse));
  }
}

TEST(KlReference, WhereTheReferenceHasNoMassItIsInfinite) {
  Data<float> data({2, 40, 40});
  data.reference[7] = static_cast<float>(-kInf);
  reference::forward(data.forward());
  EXPECT_EQ(data.kl[0], kInf);
  for (const Isa isa : isas()) {
    cpu::forward(data.forward(isa));
    EXPECT_EQ(data.kl[0], kInf);
    EXPECT_LT(data.kl[1], kInf);
  }
}

TEST(KlReference, GradientIsTheFiniteDifferenceAndSumsToZero) {
  Data<double> data({2, 7, 9, 2, 1, 0.7f});
  data.of_labels = true;
  const auto objective = [&] {
    reference::forward(data.forward());
    double sum = 0;
    for (std::size_t row = 0; row < 2; ++row)
      sum += data.grad_kl[row] * data.kl[row] + data.grad_logp[row] * data.policy_logp[row];
    return sum;
  };
  objective();
  reference::backward(data.backward());
  const double step = 1e-6;
  for (std::size_t row = 0; row < 2; ++row) {
    for (std::size_t j = row * 9; j < row * 9 + 7; ++j) {
      const double kept = data.policy[j];
      data.policy[j] = kept + step;
      const double above = objective();
      data.policy[j] = kept - step;
      const double below = objective();
      data.policy[j] = kept;
      EXPECT_NEAR(data.grad[j], (above - below) / (2 * step), 1e-8);
    }
    const auto begin = data.grad.begin() + static_cast<std::ptrdiff_t>(row) * 9;
    EXPECT_NEAR(std::accumulate(begin, begin + 7, 0.0), 0, 1e-14);
  }
}

TEST(KlErrors, StridesCoverTheVocabulary) {
  Data<float> data({2, 5, 5});
  auto args = data.forward();
  args.reference_stride = 4;
  EXPECT_THROW(cpu::forward(args), std::invalid_argument);
}

TEST(KlErrors, AGradientOfLabelsWantsThem) {
  Data<float> data({2, 5, 5});
  data.of_labels = true;
  auto args = data.backward();
  args.label = nullptr;
  EXPECT_THROW(cpu::backward(args), std::invalid_argument);
  EXPECT_THROW(reference::backward(args), std::invalid_argument);
}

TEST(KlErrors, LabelsStandInTheVocabularyAndWantTheirOutputs) {
  Data<float> data({2, 5, 5});
  data.label[1] = 5;
  EXPECT_THROW(cpu::forward(data.forward()), std::invalid_argument);
  data.label[1] = 4;
  auto args = data.forward();
  args.reference_logp = nullptr;
  EXPECT_THROW(cpu::forward(args), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::kl
