// sample: CPU and group twins against the reference over one list of cases, exact distributions,
// transformers' filters.
#include "golden/kernels.hpp"
#include "kernels/sample/body.hpp"
#include "tests/kernels/sample_cases.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <map>

namespace prefer::kernels::sample {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Sample, Types);

TYPED_TEST(Sample, CpuDrawsAsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) { cpu::forward(data.args(isa)); });
  }
}

TYPED_TEST(Sample, GroupsDrawAsTheReference) {
  for (const int size : {1, 3}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) forward_row(data.args(), row, group);
      });
    });
  }
}

TYPED_TEST(Sample, BitsDependOnNeitherThreadsNorOtherRows) {
  const Case c{6, 3001, 3001, 0.9, 100, 0.9};
  Data<TypeParam> one(c), two(c), alone({1, 3001, 3001, 0.9, 100, 0.9});
  with_threads(1, [&] { cpu::forward(one.args()); });
  with_threads(2, [&] { cpu::forward(two.args()); });
  EXPECT_TRUE(same_bits(one.token, two.token) && same_bits(one.logp, two.logp));
  EXPECT_TRUE(same_bits(one.entropy, two.entropy));
  std::copy_n(one.logits.begin() + 4 * 3001, 3001, alone.logits.begin());
  alone.uniform[0] = one.uniform[4];
  cpu::forward(alone.args());
  EXPECT_EQ(alone.token[0], one.token[4]);
  EXPECT_EQ(alone.logp[0], one.logp[4]);
}

TYPED_TEST(Sample, LogpAndEntropyHaveTheBitsOfScoring) {
  for (const bool tempered : {false, true}) {
    Data<TypeParam> data({4, 2000, 2000, 0.7, 20, 0.9, 2, tempered});
    cpu::forward(data.args());
    std::vector<float> logp(4), lse(4), entropy(4);
    token_logprob::Forward<TypeParam> scored;
    scored.logits = data.logits.data(), scored.label = data.token.data();
    scored.rows = 4, scored.vocab = 2000, scored.stride = 2000;
    scored.inv_temperature = data.args().inv_temperature;
    scored.logp = logp.data(), scored.lse = lse.data(), scored.entropy = entropy.data();
    token_logprob::cpu::forward(scored);
    EXPECT_TRUE(same_bits(logp, data.logp));
    EXPECT_TRUE(same_bits(entropy, data.entropy));
  }
}

TYPED_TEST(Sample, AnEntropyThatIsNotWantedChangesNothing) {
  Data<TypeParam> with({4, 2000, 2000, 0.7, 20, 0.9}), without({4, 2000, 2000, 0.7, 20, 0.9});
  cpu::forward(with.args());
  auto args = without.args();
  args.entropy = nullptr;
  cpu::forward(args);
  EXPECT_TRUE(same_bits(with.token, without.token) && same_bits(with.logp, without.logp));
}

/// Every row the same logits.
void repeat(Data<float>& data, const std::vector<float>& logits) {
  for (std::size_t i = 0; i < data.logits.size(); ++i) data.logits[i] = logits[i % logits.size()];
}

constexpr int kDraws = 20000;

/// Draws from equal rows with keyed numbers and holds the counts against `probability` by Pearson's
/// chi-square.
template <class Twin>
void expect_frequencies(Data<float>& data, const std::vector<double>& probability, Twin twin) {
  twin(data);
  std::vector<int> count(probability.size());
  for (const std::int64_t token : data.token) ++count[static_cast<std::size_t>(token)];
  double square = 0;
  int freedom = -1;
  for (std::size_t j = 0; j < count.size(); ++j) {
    if (probability[j] == 0) {
      EXPECT_EQ(count[j], 0) << "token " << j << " is filtered";
      continue;
    }
    const double expected = kDraws * probability[j];
    square += (count[j] - expected) * (count[j] - expected) / expected;
    ++freedom;
  }
  // The 0.999 quantile by Wilson and Hilferty's approximation (1931).
  const double k = 2.0 / (9 * freedom);
  EXPECT_LT(square, freedom * std::pow(1 - k + 3.09 * std::sqrt(k), 3));
}

void draw_by_group_of_one(Data<float>& data) {
  for (std::int64_t row = 0; row < data.shape.rows; ++row) forward_row(data.args(), row, OneThread{});
}

TEST(SampleDistribution, IsThatOfTransformersFilters) {
  const std::vector<double> probability(std::begin(golden::kSampleProbabilities),
                                        std::end(golden::kSampleProbabilities));
  Data<float> data({kDraws, 40, 40, 0.8, 15, 0.7});
  repeat(data, {std::begin(golden::kSampleLogits), std::end(golden::kSampleLogits)});
  expect_frequencies(data, probability, [](auto& d) { reference::forward(d.args()); });
  for (const Isa isa : isas()) {
    expect_frequencies(data, probability, [isa](auto& d) { cpu::forward(d.args(isa)); });
  }
  expect_frequencies(data, probability, draw_by_group_of_one);
}

TEST(SampleDistribution, WithoutFiltersIsSoftmax) {
  Data<float> data({kDraws, 12, 12});
  repeat(data, normals<float>(12, 8));
  std::vector<double> probability;
  double sum = 0;
  for (std::size_t j = 0; j < 12; ++j)
    probability.push_back(std::exp(data.logits[j])), sum += probability.back();
  for (double& p : probability) p /= sum;
  for (const Isa isa : isas()) {
    expect_frequencies(data, probability, [isa](auto& d) { cpu::forward(d.args(isa)); });
  }
}

TEST(SampleFilters, TiesGoToTheLowerIndexAndTheCrossingTokenIsKept) {
  // Probabilities 1/4 each: top_k = 2 keeps 0 and 1; top_p = 0.5 reaches 0.5 with 0 and 1; 0.51 needs 2 as
  // well.
  for (const auto& [top_k, top_p, kept] :
       {std::tuple{2, 1.0, 2}, {0, 0.5, 2}, {0, 0.51, 3}, {3, 0.5, 2}, {4, 1.0, 4}}) {
    Data<float> data({100, 4, 4, 1, top_k, top_p});
    repeat(data, {0.0f, -0.0f, 0.0f, -0.0f});
    for (std::size_t row = 0; row < 100; ++row) data.uniform[row] = (static_cast<double>(row) + 0.5) / 100;
    const auto expect_kept = [&, keep = kept](auto twin) {
      twin();
      std::map<std::int64_t, int> tokens;
      for (const std::int64_t token : data.token) ++tokens[token];
      EXPECT_EQ(static_cast<int>(tokens.size()), keep) << data.shape.top_k << " " << data.shape.top_p;
      EXPECT_EQ(tokens.rbegin()->first, keep - 1);
    };
    expect_kept([&] { reference::forward(data.args()); });
    for (const Isa isa : isas()) expect_kept([&] { cpu::forward(data.args(isa)); });
    expect_kept([&] { draw_by_group_of_one(data); });
  }
}

TEST(SampleEntropy, OfTwoOutcomesIsTheClosedForm) {
  Data<float> data({1, 2, 2, 2, 0, 1, 1, true});  // p = (3/4, 1/4) once divided by the temperature
  data.logits = {2 * std::log(3.0f), 0};
  const double entropy = -0.75 * std::log(0.75) - 0.25 * std::log(0.25);
  const auto expect = [&] {
    EXPECT_NEAR(data.entropy[0], entropy, 1e-6);
    EXPECT_NEAR(data.logp[0], std::log(data.token[0] == 0 ? 0.75 : 0.25), 1e-6);
    data.entropy[0] = 0;
  };
  reference::forward(data.args()), expect();
  for (const Isa isa : isas()) cpu::forward(data.args(isa)), expect();
  draw_by_group_of_one(data), expect();
}

TEST(SampleGreedy, TakesTheLowestIndexAmongEqualsAndNeedsNoUniform) {
  Data<float> data({1, 3000, 3000, 0});
  data.logits[2500] = data.logits[1500] = 50;
  auto args = data.args();
  args.uniform = nullptr;
  for (const Isa isa : isas()) {
    args.isa = isa;
    cpu::forward(args);
    EXPECT_EQ(data.token[0], 1500);
    EXPECT_NEAR(data.logp[0], -std::log(2.0), 1e-6);
  }
}

TEST(SampleEdges, RowsWithoutADistributionGiveNoToken) {
  for (const double temperature : {0.0, 1.0}) {
    for (const float bad : {INFINITY, NAN, -INFINITY}) {
      Data<float> data({2, 100, 100, temperature, 10, 0.9});
      std::fill(data.logits.begin(), data.logits.begin() + 100, -INFINITY);
      data.logits[50] = bad;
      const auto expect_none = [&] {
        EXPECT_EQ(data.token[0], -1) << bad;
        EXPECT_TRUE(std::isnan(data.logp[0]) && std::isnan(data.entropy[0])) << bad;
        EXPECT_GE(data.token[1], 0);
      };
      for (const Isa isa : isas()) cpu::forward(data.args(isa)), expect_none();
      reference::forward(data.args()), expect_none();
      for (int row = 0; row < 2; ++row) forward_row(data.args(), row, OneThread{});
      expect_none();
    }
  }
}

TEST(SampleEdges, UniformsAtTheEndsGiveTheFirstAndLastKeptTokens) {
  for (const double u : {1e-300, 1 - 0x1p-53}) {
    Data<float> data({1, 200, 200, 1, 0, 0.9}), expected({1, 200, 200, 1, 0, 0.9});
    data.uniform[0] = expected.uniform[0] = u;
    reference::forward(expected.args());
    cpu::forward(data.args());
    EXPECT_EQ(data.token[0], expected.token[0]);
    forward_row(data.args(), 0, OneThread{});
    EXPECT_EQ(data.token[0], expected.token[0]);
  }
}

TEST(SampleErrors, SettingsAreChecked) {
  Data<float> data({1, 4, 4});
  for (const auto& [temperature, top_p] : {std::pair{-1.0, 1.0}, {1e-9, 1.0}, {1.0, 0.0}, {1.0, 1.5}}) {
    auto args = data.args();
    args.temperature = temperature, args.top_p = top_p;
    EXPECT_THROW(cpu::forward(args), std::invalid_argument);
  }
  Data<float> greedy({1, 4, 4, 0});
  auto args = greedy.args();
  args.inv_temperature = 2;
  EXPECT_THROW(cpu::forward(args), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::sample
