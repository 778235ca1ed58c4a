// Products on their routes: values against ATen's in f64, rows' bits against their number, packed forms
// against writes.
#include "prefer/ops/linear.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/gemm.hpp"
#include "src/ops/row_counts.hpp"
#include "src/ops/transposed.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"

#include <gtest/gtest.h>

#include <set>

namespace prefer {
namespace {

using testing::normal;

// Puts the process's routes back.
class Linear : public ::testing::TestWithParam<GemmRoute> {
 protected:
  void SetUp() override { set_gemm_routes({GetParam(), GetParam()}); }
  void TearDown() override { set_gemm_routes(default_gemm_routes()); }
};

TEST(RoundedRows, AreFewCountsAndLittleMore) {
  std::set<int64_t> counts;
  for (int64_t rows = 0; rows < 4096; ++rows) {
    const int64_t rounded = rounded_rows(rows, 16);
    ASSERT_GE(rounded, rows);
    ASSERT_LE(16 * (rounded - rows), rows);
    ASSERT_EQ(rounded_rows(rounded, 16), rounded);
    if (rows > 1024 && rows <= 2048) counts.insert(rounded);
  }
  EXPECT_EQ(counts.size(), 16u);
}

double gap(const Tensor& a, const Tensor& b) {
  return (a.to(at::kDouble) - b.to(at::kDouble)).abs().max().item<double>();
}

// Sums of K products of normals rounded to u each: K u is far above the error of any order of summation.
TEST_P(Linear, ForwardAndGradientsAreTheProducts) {
  for (const auto& [type, unit] : {std::pair{at::kFloat, 6e-8}, {at::kBFloat16, 4e-3}}) {
    for (const int64_t m : {1, 2, 3, 31, 33, 128}) {
      Tensor x = normal({m, 64}, 1, type), a = normal({40, 64}, 2, type), b = normal({24, 64}, 3, type);
      const Tensor dy = normal({m, 64}, 4, type);
      const Tensor w = at::cat({a, b}).to(at::kDouble);
      x.requires_grad_(), a.requires_grad_(), b.requires_grad_();
      const Tensor y = linear(x, Matrix({a, b}));
      y.backward(dy);
      const double bound = 64 * std::max<int64_t>(m, 64) * unit;
      EXPECT_LE(gap(y.detach(), at::mm(x.detach().to(at::kDouble), w.t())), bound);
      EXPECT_LE(gap(x.grad(), at::mm(dy.to(at::kDouble), w)), bound);
      const Tensor dw = at::mm(dy.to(at::kDouble).t(), x.detach().to(at::kDouble));
      EXPECT_LE(gap(a.grad(), dw.narrow(0, 0, 40)), bound);
      EXPECT_LE(gap(b.grad(), dw.narrow(0, 40, 24)), bound);
    }
  }
}

TEST(Transposed, IsTheTransposeOfThePartsStacked) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
    for (const auto& [rows, columns] :
         {std::pair<int64_t, int64_t>{1, 1}, {16, 16}, {17, 31}, {96, 37}, {3, 700}, {65, 129}}) {
      const std::vector<Tensor> parts{normal({rows, columns}, 1, type), normal({7, columns}, 2, type),
                                      normal({columns, 33}, 3, type).t()};
      EXPECT_TRUE(at::equal(gemm::transposed(parts), at::cat(parts).t())) << rows << " x " << columns;
    }
  }
}

TEST_P(Linear, SeesAWriteThroughAPointerOnceTheVersionIsBumped) {
  const Tensor w = normal({8, 16}, 1, at::kFloat), x = normal({4, 16}, 2, at::kFloat);
  const Matrix matrix(w);
  const Tensor before = linear(x, matrix), back = times(before, matrix);
  float* data = static_cast<float*>(w.mutable_data_ptr());
  for (int64_t i = 0; i < w.numel(); ++i) data[i] *= 2;
  w.unsafeGetTensorImpl()->bump_version();
  EXPECT_TRUE(at::equal(linear(x, matrix), before * 2));
  EXPECT_TRUE(at::equal(times(before, matrix), back * 2));
}

TEST_P(Linear, AFrozenMatrixIsTheWeightAsItWas) {
  const Tensor a = normal({8, 16}, 1, at::kFloat), b = normal({5, 16}, 3, at::kFloat);
  const Tensor x = normal({4, 16}, 2, at::kFloat);
  const Matrix matrix({a, b}), frozen = matrix.frozen();
  const Tensor before = linear(x, matrix);
  a.mul_(2);
  EXPECT_FALSE(at::equal(linear(x, matrix), before));
  EXPECT_TRUE(at::equal(linear(x, frozen), before));
  EXPECT_THROW(linear(x.detach().requires_grad_(), frozen).sum().backward(), Error);
}

TEST_P(Linear, MadeAnewOrKeptTheInputGivesTheSameGradient) {
  const Tensor x = normal({33, 16}, 1, at::kFloat), dy = normal({33, 8}, 2, at::kFloat);
  const auto gradient = [&](const std::function<Tensor()>& again) {
    const Tensor w = normal({8, 16}, 3, at::kFloat).requires_grad_();
    linear(x, Matrix(w), {}, again).backward(dy);
    return w.grad();
  };
  int64_t asked = 0;
  const Tensor made = gradient([&] { return ++asked, x.clone(); });
  EXPECT_EQ(asked, 1);
  EXPECT_TRUE(at::equal(made, gradient({})));
}

INSTANTIATE_TEST_SUITE_P(Routes, Linear, ::testing::Values(GemmRoute::aten, GemmRoute::onednn),
                         [](const auto& route) {
                           return route.param == GemmRoute::aten ? "aten" : "onednn";
                         });

// What the default routes promise on this CPU; where the CPU breaks a promise the program says so in one
// line.
TEST(Invariance, RowsDoNotDependOnTheirNumberOrTheReportSaysSo) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const InvarianceReport report = self_test_invariance(type);
    EXPECT_EQ(report.holds(), report.broken.empty());
    for (const std::string& line : report.broken) GTEST_LOG_(INFO) << line;
    if (!report.rows) continue;
    const Matrix w(normal({192, 576}, 1, type));
    const Tensor x = normal({200, 576}, 2, type), whole = linear(x, w);
    for (int64_t m = 1; m < 200; m += 7)
      EXPECT_TRUE(at::equal(linear(x.narrow(0, 3, std::min<int64_t>(m, 190)), w),
                            whole.narrow(0, 3, std::min<int64_t>(m, 190))))
          << m;
  }
}

TEST(Invariance, RoutesHaveNames) {
  EXPECT_EQ((GemmRoutes{GemmRoute::onednn, GemmRoute::aten}.name()), "fp32 onednn, bf16 aten");
}

TEST(LinearErrors, SayWhatWasAskedAndSeen) {
  const Matrix w(normal({5, 4}, 1));
  try {
    linear(normal({3, 7}, 2), w);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "linear wants [M, 4] for a weight [5, 4], not [3, 7]");
  }
  EXPECT_THROW(linear(normal({3, 4}, 2, at::kFloat), w), Error);
  EXPECT_THROW(linear(normal({3, 4}, 2), w, normal({4}, 3)), Error);
  EXPECT_THROW(linear(normal({3, 4}, 2), Matrix()), Error);
  EXPECT_EQ(
      testing::error_of([] {
        Matrix({normal({5, 4}, 1), normal({2, 3}, 1, at::kFloat)});
      }),
      "Matrix wants weights [out, in] of one width, type and device, not [5, 4] Double on cpu and [2, 3] "
      "Float on cpu");
}

}  // namespace
}  // namespace prefer
