// kl: CPU and group twins against the reference over one list of cases, gradients, closed forms, properties.
#include "kernels/kl/body.hpp"
#include "tests/kernels/kl_cases.hpp"

#include <gtest/gtest.h>

#include <functional>
#include <numeric>

namespace prefer::kernels::kl {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Kl, Types);

constexpr Asked kAll{true, true};

TYPED_TEST(Kl, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) { cpu::forward(data.args(isa)); });
  }
}

TYPED_TEST(Kl, GroupsAreTheReference) {
  for (const int size : {1, 5}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) forward_row(data.args(), row, group);
      });
    });
  }
}

TYPED_TEST(Kl, EqualRowsGiveExactlyZero) {
  for (const Isa isa : isas()) {
    for (const Asked asked : kAsked) {
      Data<TypeParam> data({4, 3001, 3007}, asked);
      data.reference = data.policy;
      std::fill(data.grad_k1.begin(), data.grad_k1.end(), 0.0f);  // k1's gradient is not 0 where r is
      cpu::forward(data.args(isa));
      for (const auto* values : {&data.kl, &data.k1, &data.k2, &data.k3})
        for (const float value : *values) EXPECT_EQ(value, 0.0f);
      if (!asked.gradient) continue;
      for (std::size_t j = 0; j < 3001; ++j) EXPECT_EQ(widen(data.grad[j]), 0.0f);
    }
  }
}

TYPED_TEST(Kl, GradientInPlaceHasTheSameBits) {
  for (const Isa isa : isas()) {
    Data<TypeParam> apart({3, 1025, 1025}, kAll), in_place({3, 1025, 1025}, kAll);
    cpu::forward(apart.args(isa));
    auto args = in_place.args(isa);
    args.grad = in_place.policy.data();
    cpu::forward(args);
    EXPECT_TRUE(same_bits(apart.grad, in_place.policy));
    EXPECT_TRUE(same_bits(apart.k3, in_place.k3));
  }
}

TYPED_TEST(Kl, AGroupsGradientInPlaceHasTheSameBits) {
  Data<TypeParam> apart({3, 1025, 1025}, kAll), in_place({3, 1025, 1025}, kAll);
  const auto run = [](const Divergence<TypeParam>& args) {
    ThreadGroup::run(5, [&](const ThreadGroup& group) {
      for (std::int64_t row = 0; row < args.rows; ++row) forward_row(args, row, group);
    });
  };
  run(apart.args());
  auto args = in_place.args();
  args.grad = in_place.policy.data();
  run(args);
  EXPECT_TRUE(same_bits(apart.grad, in_place.policy));
}

TYPED_TEST(Kl, BitsDependOnNeitherThreadsNorOtherRows) {
  for (const Isa isa : isas()) {
    Data<TypeParam> one({5, 3001, 3001}, kAll), two({5, 3001, 3001}, kAll), alone({1, 3001, 3001}, kAll);
    with_threads(1, [&] { cpu::forward(one.args(isa)); });
    with_threads(2, [&] { cpu::forward(two.args(isa)); });
    EXPECT_TRUE(same_bits(one.kl, two.kl) && same_bits(one.k3, two.k3) && same_bits(one.grad, two.grad));
    std::copy_n(one.policy.begin() + 3 * 3001, 3001, alone.policy.begin());
    std::copy_n(one.reference.begin() + 3 * 3001, 3001, alone.reference.begin());
    cpu::forward(alone.args(isa));
    EXPECT_EQ(alone.kl[0], one.kl[3]);
  }
}

TYPED_TEST(Kl, WhatElseIsAskedForChangesNoBitsOfTheKl) {
  for (const Isa isa : isas()) {
    Data<TypeParam> alone({4, 3001, 3001}), all({4, 3001, 3001}, kAll);
    cpu::forward(alone.args(isa));
    cpu::forward(all.args(isa));
    EXPECT_TRUE(same_bits(alone.kl, all.kl));
  }
}

TEST(KlReference, OfTwoOutcomesIsTheClosedForm) {
  Data<double> data({1, 2, 2}, kAll);
  data.policy = {std::log(0.75), std::log(0.25)};
  data.reference = {std::log(0.5), std::log(0.5)};
  data.label = {0};
  data.grad_kl = {1}, data.grad_k1 = data.grad_k2 = data.grad_k3 = {0};
  reference::forward(data.args());
  const double r = std::log(1.5), kl = 0.75 * r + 0.25 * std::log(0.5);
  EXPECT_NEAR(data.kl[0], kl, 1e-15);
  EXPECT_NEAR(data.k1[0], r, 1e-15);
  EXPECT_NEAR(data.k2[0], r * r / 2, 1e-15);
  EXPECT_NEAR(data.k3[0], 2.0 / 3 - 1 + r, 1e-15);
  EXPECT_NEAR(data.grad[0], 0.75 * (r - kl), 1e-15);
}

/// Rows that are all alike, each with a label of its own, so that sums over them weighed by p are means over
/// draws.
Data<double> all_labels() {
  constexpr std::int64_t kVocab = 37;
  Data<double> data({kVocab, kVocab, kVocab, 2, 1, 0.8f}, kAll);
  for (std::int64_t row = 0; row < kVocab; ++row) {
    std::copy_n(data.policy.begin(), kVocab, data.policy.begin() + row * kVocab);
    std::copy_n(data.reference.begin(), kVocab, data.reference.begin() + row * kVocab);
    data.label[static_cast<std::size_t>(row)] = row;
  }
  return data;
}

TEST(KlReference, TheMeanOfK1AndOfK3IsTheKl) {
  Data<double> data = all_labels();
  reference::forward(data.args());
  const std::vector<double> logp = data.logp(data.policy, 0);
  double k1 = 0, k3 = 0, mass = 0;
  for (std::size_t t = 0; t < logp.size(); ++t) {
    const double p = std::exp(logp[t]);
    mass += p, k1 += p * data.k1[t], k3 += p * data.k3[t];
    EXPECT_GE(data.k3[t], 0);
    EXPECT_DOUBLE_EQ(data.k2[t], data.k1[t] * data.k1[t] / 2);
  }
  EXPECT_NEAR(mass, 1, 1e-13);
  EXPECT_NEAR(k1, data.kl[0], 1e-13);
  EXPECT_NEAR(k3, data.kl[0], 1e-13);
}

/// Over draws, k1's gradient is 0, k2's is that of the KL, and k3's that of KL(q || p), scale (p_j - q_j).
TEST(KlReference, MeansOfGradientsAreThoseOfTheKlEachWay) {
  const auto mean_gradient = [](double of_kl, double of_k1, double of_k2, double of_k3) {
    Data<double> data = all_labels();
    const std::size_t size = data.label.size();
    data.grad_kl.assign(size, of_kl), data.grad_k1.assign(size, of_k1);
    data.grad_k2.assign(size, of_k2), data.grad_k3.assign(size, of_k3);
    reference::forward(data.args());
    const std::vector<double> logp = data.logp(data.policy, 0);
    std::vector<double> mean(size);
    for (std::size_t t = 0; t < size; ++t)
      for (std::size_t j = 0; j < size; ++j) mean[j] += std::exp(logp[t]) * data.grad[t * size + j];
    return mean;
  };
  const auto kl = mean_gradient(1, 0, 0, 0), k1 = mean_gradient(0, 1, 0, 0);
  const auto k2 = mean_gradient(0, 0, 1, 0), k3 = mean_gradient(0, 0, 0, 1);
  const Data<double> data = all_labels();
  const auto logp = data.logp(data.policy, 0), logq = data.logp(data.reference, 0);
  for (std::size_t j = 0; j < kl.size(); ++j) {
    EXPECT_NEAR(k1[j], 0, 1e-14);
    EXPECT_NEAR(k2[j], kl[j], 1e-14);
    EXPECT_NEAR(k3[j], data.shape.inv_temperature * (std::exp(logp[j]) - std::exp(logq[j])), 1e-14);
  }
}

TEST(KlReference, WhereTheReferenceHasNoMassItIsInfinite) {
  Data<float> data({2, 40, 40});
  data.reference[7] = static_cast<float>(-kInf);
  reference::forward(data.args());
  EXPECT_EQ(data.kl[0], kInf);
  for (const Isa isa : isas()) {
    cpu::forward(data.args(isa));
    EXPECT_EQ(data.kl[0], kInf);
    EXPECT_LT(data.kl[1], kInf);
  }
}

/// Each of the four values alone, and all of them together.
TEST(KlReference, GradientIsTheFiniteDifferenceAndSumsToZero) {
  for (const int only : {0, 1, 2, 3, 4}) {
    Data<double> data({2, 7, 9, 2, 1, 0.7f}, kAll);
    int value = 0;
    for (auto* upstream : {&data.grad_kl, &data.grad_k1, &data.grad_k2, &data.grad_k3})
      if (only != 4 && value++ != only) upstream->assign(2, 0);
    const auto objective = [&] {
      Data<double> values = data;
      values.asked.gradient = false;
      reference::forward(values.args());
      double sum = 0;
      for (std::size_t row = 0; row < 2; ++row) {
        sum += data.grad_kl[row] * values.kl[row] + data.grad_k1[row] * values.k1[row] +
               data.grad_k2[row] * values.k2[row] + data.grad_k3[row] * values.k3[row];
      }
      return sum;
    };
    reference::forward(data.args());
    for (std::size_t row = 0; row < 2; ++row) {
      for (std::size_t j = row * 9; j < row * 9 + 7; ++j)
        EXPECT_NEAR(data.grad[j], slope(objective, data.policy[j]), 1e-8) << "value " << only;
      const auto begin = data.grad.begin() + static_cast<std::ptrdiff_t>(row) * 9;
      EXPECT_NEAR(std::accumulate(begin, begin + 7, 0.0), 0, 1e-14);
    }
  }
}

/// Every twin that looks at labels says the same of arguments that do not fit.
void expect_refused(const std::function<void(Divergence<float>&)>& spoil, const std::string& said) {
  const auto message = [&](auto twin) -> std::string {
    Data<float> data({2, 5, 5}, kAll);
    Divergence<float> args = data.args();
    spoil(args);
    try {
      twin(args);
    } catch (const std::invalid_argument& problem) {
      return problem.what();
    }
    return "nothing";
  };
  EXPECT_EQ(message([](const auto& args) { reference::forward(args); }), said);
  EXPECT_EQ(message([](const auto& args) { cpu::forward(args); }), said);
}

TEST(KlErrors, SayWhatIsWanted) {
  expect_refused([](auto& a) { a.reference_stride = 4; },
                 "kl wants strides of at least vocab, not policy_stride 5, reference_stride 4, vocab 5");
  expect_refused([](auto& a) { a.grad_stride = 4; },
                 "kl wants a grad_stride of at least vocab, not grad_stride 4, vocab 5");
  expect_refused([](auto& a) { a.reference = nullptr; },
                 "kl wants policy and reference, not policy given, reference null");
  expect_refused([](auto& a) { a.grad = nullptr; },
                 "kl wants grad and an upstream, or neither, not grad null");
  expect_refused([](auto& a) { a.grad_kl = a.grad_k1 = a.grad_k2 = a.grad_k3 = nullptr; },
                 "kl wants grad and an upstream, or neither, not grad given");
  expect_refused([](auto& a) { a.inv_temperature = 0; },
                 "kl wants inv_temperature > 0, not inv_temperature 0");
}

TEST(KlErrors, LabelsAreWantedWithEstimatesAndTheirUpstreams) {
  const std::string said = "kl wants label with k1, k2, k3 or their upstreams, not label null";
  expect_refused([](auto& a) { a.label = nullptr; }, said);
  expect_refused([](auto& a) { a.label = nullptr, a.k1 = a.k2 = a.k3 = nullptr; }, said);
  expect_refused([](auto& a) { a.label = nullptr, a.grad_k1 = a.grad_k2 = a.grad_k3 = nullptr; }, said);
}

TEST(KlErrors, LabelsStandInTheVocabulary) {
  static const std::int64_t kAbove[] = {4, 5}, kBelow[] = {-1, 0};
  expect_refused([](auto& a) { a.label = kAbove; }, "label of row 1 is 5, not in [0, 5)");
  expect_refused([](auto& a) { a.label = kBelow; }, "label of row 0 is -1, not in [0, 5)");
}

/// As on a device, where nobody looks at labels beforehand.
TEST(KlErrors, AGroupGivesNaNForALabelOutsideTheVocabulary) {
  Data<float> data({2, 5, 5}, kAll);
  data.label = {5, 2};
  auto args = data.args();
  args.grad_k2 = args.grad_k3 = nullptr;  // k1's slope is 1 whatever the label
  for (const std::int64_t row : {0, 1}) forward_row(args, row, OneThread{});
  EXPECT_TRUE(std::isnan(data.k1[0]) && std::isnan(data.k2[0]) && std::isnan(data.k3[0]));
  EXPECT_TRUE(std::isnan(data.grad[0]));
  EXPECT_FALSE(std::isnan(data.kl[0]));
  EXPECT_FALSE(std::isnan(data.k3[1]) || std::isnan(data.grad[5]));
}

}  // namespace
}  // namespace prefer::kernels::kl
