// Attention: cpu against reference, reference against finite differences, and the promise of bits of the cpu
// forward.
#include "kernels/attention/attention.hpp"

#include "support/kernels.hpp"
#include "tests/kernels/attention_cases.hpp"

#include <gtest/gtest.h>
#include <omp.h>

#include <cmath>
#include <limits>

namespace prefer::kernels::attention {
namespace {

template <class Body>
void for_each_isa(Body body) {
  for (const Isa isa : prefer::testing::isas()) {
    SCOPED_TRACE(name(isa));
    body(isa);
  }
}

TEST(Attention, CpuForwardEqualsTheReference) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    Problem<float> got(plan.tokens, c.sizes, 1);
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    for_each_isa([&](Isa isa) {
      auto args = got.forward(plan);
      args.isa = isa;
      cpu::forward(args);
      EXPECT_LE(worst(got.out, want.out), tolerance(got));
      EXPECT_LE(worst(got.lse, want.lse), tolerance(got));
    });
  }
}

TEST(Attention, CpuForwardInBf16RoundsTheReferenceOnce) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    const Problem<float> source(plan.tokens, c.sizes, 2);
    Problem<bf16> got = converted<bf16>(source);
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    for_each_isa([&](Isa isa) {
      auto args = got.forward(plan);
      args.isa = isa;
      cpu::forward(args);
      EXPECT_LE(worst(got.out, want.out, std::ldexp(1.0, -8)), tolerance(source));
      EXPECT_LE(worst(got.lse, want.lse), tolerance(source));
    });
  }
}

TEST(Attention, ReferenceInBf16AndFloatRoundsTheDoubleOne) {
  const Case c = cases()[12];
  const Plan plan = plan_of(c.forest);
  Problem<bf16> half = converted<bf16>(Problem<float>(plan.tokens, c.sizes, 3));
  Problem<double> exact = converted<double>(half);
  Problem<float> single = converted<float>(half);
  reference::forward(half.forward(plan));
  reference::forward(single.forward(plan));
  reference::forward(exact.forward(plan));
  EXPECT_LE(worst(half.out, exact.out, std::ldexp(1.0, -8)), 0);
  EXPECT_LE(worst(single.out, exact.out, std::ldexp(1.0, -24)), 0);
}

TEST(Attention, CpuBackwardEqualsTheReference) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    Problem<float> got(plan.tokens, c.sizes, 4);
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    reference::backward(want.backward(plan));
    for_each_isa([&](Isa isa) {
      auto forward = got.forward(plan);
      auto backward = got.backward(plan);
      forward.isa = backward.isa = isa;
      cpu::forward(forward);
      got.gradient.assign(got.gradient.size(), 7.0f);
      cpu::backward(backward);
      EXPECT_LE(worst(got.gradient, want.gradient), tolerance(got));
    });
  }
}

TEST(Attention, CpuBackwardInBf16RoundsTheReferenceOnce) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    const Problem<float> source(plan.tokens, c.sizes, 5);
    Problem<bf16> got = converted<bf16>(source);
    reference::forward(got.forward(plan));
    Problem<double> want = converted<double>(got);
    want.out = converted<double>(got.out);
    want.lse = converted<double>(got.lse);
    reference::backward(want.backward(plan));
    for_each_isa([&](Isa isa) {
      auto args = got.backward(plan);
      args.isa = isa;
      cpu::backward(args);
      EXPECT_LE(worst(got.gradient, want.gradient, std::ldexp(1.0, -8)), tolerance(source));
    });
  }
}

TEST(Attention, ReferenceBackwardEqualsFiniteDifferences) {
  const Plan plan = plan_of({{5, -1}, {3, 0}, {2, 1}, {4, 0}});
  for (const std::int64_t window : {0, 3}) {
    Problem<double> problem(plan.tokens, {4, 2, 3, window}, 6);
    const auto value = [&] {
      reference::forward(problem.forward(plan));
      double sum = 0;
      for (std::size_t i = 0; i < problem.out.size(); ++i) sum += problem.out[i] * problem.dout[i];
      return sum;
    };
    value();
    reference::backward(problem.backward(plan));
    for (std::size_t i = 0; i < problem.fused.size(); ++i) {
      EXPECT_NEAR(problem.gradient[i], prefer::testing::slope(value, problem.fused[i], 1e-5), 1e-8)
          << "element " << i;
    }
  }
}

/// out and lse of one call as bits, so that NaN and the sign of zero count.
template <class T>
std::string bits_of(Problem<T>& problem, const Plan& plan, Isa isa, int threads) {
  auto args = problem.forward(plan);
  args.isa = isa;
  const int before = omp_get_max_threads();
  omp_set_num_threads(threads);
  cpu::forward(args);
  omp_set_num_threads(before);
  std::string bits(reinterpret_cast<const char*>(problem.out.data()), problem.out.size() * sizeof(T));
  bits.append(reinterpret_cast<const char*>(problem.lse.data()), problem.lse.size() * sizeof(float));
  problem.out.assign(problem.out.size(), T{});
  problem.lse.assign(problem.lse.size(), 0.0f);
  return bits;
}

template <class T>
class AttentionBits : public ::testing::Test {};
using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(AttentionBits, Types);

TYPED_TEST(AttentionBits, DoNotDependOnCompanySpansOrThreads) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = plan_of(c.forest);
    Problem<TypeParam> problem = converted<TypeParam>(Problem<float>(plan.tokens, c.sizes, 7));
    Plan reversed = plan;
    std::reverse(reversed.runs.begin(), reversed.runs.end());
    for_each_isa([&](Isa isa) {
      const std::string bits = bits_of(problem, plan, isa, 2);
      EXPECT_EQ(bits, bits_of(problem, plan, isa, 1)) << "one thread";
      EXPECT_EQ(bits, bits_of(problem, plan, isa, 3)) << "three threads";
      EXPECT_EQ(bits, bits_of(problem, reversed, isa, 2)) << "runs reversed";
      EXPECT_EQ(bits, bits_of(problem, with_cut_spans(plan, 8), isa, 2)) << "spans cut";
      EXPECT_EQ(bits, bits_of(problem, one_by_one(plan), isa, 2)) << "decoded one by one";
      EXPECT_EQ(bits, bits_of(problem, with_cut_spans(one_by_one(plan), 9), isa, 1))
          << "decoded from cut spans";
    });
  }
}

/// Row `from` of one problem copied onto row `to` of another of the same sizes.
template <class T>
void copy_row(const Problem<T>& a, std::int64_t from, Problem<T>& b, std::int64_t to) {
  std::copy_n(a.fused.begin() + from * a.width, a.width, b.fused.begin() + to * b.width);
}

TYPED_TEST(AttentionBits, AreThoseOfTheUnsharedSequence) {
  const std::vector<Segment> forest = {{67, -1}, {31, 0}, {45, 0}, {70, 1}};
  const Plan plan = plan_of(forest);
  const std::int64_t row_of_path[] = {0, 67,
                                      67 + 31 + 45};  // segments 0, 1 and 3 are one sequence of 168 tokens
  const std::int64_t length_of_path[] = {67, 31, 70};
  for (const std::int64_t window : {0, 50}) {
    const Sizes sizes{9, 3, 64, window};
    Problem<TypeParam> shared = converted<TypeParam>(Problem<float>(plan.tokens, sizes, 10));
    const Plan alone = plan_of({{168, -1}});
    Problem<TypeParam> sequence(168, sizes, 0);
    std::vector<std::int64_t> rows;
    for (int s = 0; s < 3; ++s) {
      for (std::int64_t i = 0; i < length_of_path[s]; ++i) rows.push_back(row_of_path[s] + i);
    }
    for (std::size_t i = 0; i < rows.size(); ++i)
      copy_row(shared, rows[i], sequence, static_cast<std::int64_t>(i));
    for_each_isa([&](Isa isa) {
      const std::string tree = bits_of(shared, plan, isa, 2), line = bits_of(sequence, alone, isa, 2);
      const std::size_t bytes = static_cast<std::size_t>(sizes.heads * sizes.dim) * sizeof(TypeParam);
      for (std::size_t i = 0; i < rows.size(); ++i) {
        EXPECT_EQ(tree.substr(static_cast<std::size_t>(rows[i]) * bytes, bytes),
                  line.substr(i * bytes, bytes));
      }
    });
  }
}

TYPED_TEST(AttentionBits, DoNotDependOnKeysThatARowDoesNotSee) {
  const Plan plan = plan_of({{150, -1}});
  for (const std::int64_t window : {0, 40}) {
    Problem<TypeParam> clean = converted<TypeParam>(Problem<float>(150, {6, 2, 64, window}, 11));
    Problem<TypeParam> poisoned = clean;
    const std::int64_t seen =
        98;  // rows 0 .. 97 stay as they are; with the window, rows 0 .. 29 of them go bad too
    const std::int64_t first = window == 0 ? 0 : 30;
    for (std::int64_t i = 0; i < 150; ++i) {
      if (i >= first && i < seen) continue;
      std::fill_n(poisoned.fused.begin() + i * clean.width, clean.width, narrow<TypeParam>(NAN));
    }
    for_each_isa([&](Isa isa) {
      const std::string a = bits_of(clean, plan, isa, 2), b = bits_of(poisoned, plan, isa, 2);
      const std::size_t row = 6 * 64 * sizeof(TypeParam);
      const std::size_t begin = static_cast<std::size_t>(window == 0 ? 0 : first + window - 1) * row;
      const std::size_t end = static_cast<std::size_t>(seen) * row;
      EXPECT_EQ(a.substr(begin, end - begin), b.substr(begin, end - begin));
      EXPECT_NE(a.substr(end), b.substr(end));
    });
  }
}

TEST(Attention, BackwardBitsDoNotDependOnTheNumberOfThreads) {
  const Plan plan = plan_of({{300, -1}, {150, 0}, {99, 0}});
  Problem<float> problem(plan.tokens, {9, 3, 64, 0}, 12);
  cpu::forward(problem.forward(plan));
  const int before = omp_get_max_threads();
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 2, 3}) {
    omp_set_num_threads(threads);
    cpu::backward(problem.backward(plan));
    results.push_back(problem.gradient);
  }
  omp_set_num_threads(before);
  EXPECT_EQ(results[0], results[1]);
  EXPECT_EQ(results[0], results[2]);
}

TEST(Attention, HugeScoresStayFinite) {
  const Plan plan = plan_of({{130, -1}});
  Problem<float> problem(130, {2, 1, 16, 0}, 13);
  for (float& x : problem.fused) x *= 300.0f;
  Problem<double> want = converted<double>(problem);
  reference::forward(want.forward(plan));
  for_each_isa([&](Isa isa) {
    auto args = problem.forward(plan);
    args.isa = isa;
    cpu::forward(args);
    const double largest = *std::max_element(want.lse.begin(), want.lse.end());
    for (std::size_t i = 0; i < want.lse.size(); ++i) {
      EXPECT_NEAR(problem.lse[i], want.lse[i], tolerance(problem) * largest);
    }
    for (const float x : problem.out) EXPECT_TRUE(std::isfinite(x));
  });
}

TEST(Attention, RowsOfNoRunAreLeftAloneAndGetNoGradient) {
  Plan plan = plan_of({{10, -1}, {20, -1}, {5, -1}});
  plan.runs.erase(plan.runs.begin() + 1);
  Problem<float> problem(plan.tokens, {2, 1, 8, 0}, 14);
  problem.out.assign(problem.out.size(), 3.0f);
  cpu::forward(problem.forward(plan));
  for (std::size_t i = 10 * 16; i < 30 * 16; ++i) EXPECT_EQ(problem.out[i], 3.0f);
  problem.gradient.assign(problem.gradient.size(), 7.0f);
  cpu::backward(problem.backward(plan));
  for (std::size_t i = 10 * 32; i < 30 * 32; ++i) EXPECT_EQ(problem.gradient[i], 0.0f);
}

TEST(Attention, RefusesRunsAndSpansThatDoNotFit) {
  Problem<float> problem(10, {2, 1, 8, 0}, 15);
  const auto refused = [&](const Plan& plan) {
    EXPECT_THROW(reference::forward(problem.forward(plan)), std::invalid_argument);
    EXPECT_THROW(cpu::forward(problem.forward(plan)), std::invalid_argument);
    EXPECT_THROW(cpu::backward(problem.backward(plan)), std::invalid_argument);
  };
  refused({{{5, 6, 0, 0, 1}}, {{0, 6}}, 10});   // queries 5 .. 10 of 10
  refused({{{0, 6, 0, 0, 1}}, {{5, 6}}, 10});   // keys 5 .. 10 of 10
  refused({{{0, 6, 0, 0, 2}}, {{0, 6}}, 10});   // a second span of one
  refused({{{0, 6, 1, 0, 1}}, {{0, 6}}, 10});   // 6 keys for positions 0 .. 6
  refused({{{0, 6, -1, 0, 1}}, {{0, 5}}, 10});  // a position before the start
  Problem<float> odd(10, {3, 2, 8, 0}, 16);
  EXPECT_THROW(cpu::forward(odd.forward(plan_of({{10, -1}}))), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::attention
