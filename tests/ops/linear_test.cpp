// Products on their routes: values against ATen's in f64, rows' bits against their number, packed forms
// against writes.
#include "prefer/ops/linear.hpp"

#include "kernels/few_rows/few_rows.hpp"
#include "kernels/isa.hpp"
#include "prefer/core/error.hpp"
#include "prefer/ops/gemm.hpp"
#include "src/ops/packed.hpp"
#include "src/ops/row_blocks.hpp"
#include "src/ops/row_counts.hpp"
#include "src/ops/transposed.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <set>

namespace prefer {
namespace {

using testing::normal;

// Puts the process's routes back.
class Linear : public ::testing::TestWithParam<GemmRoute> {
 protected:
  void SetUp() override {
    const bool aten = GetParam() == GemmRoute::aten;
    // Without AVX-512 the library has no bfloat16 products, and the default is ATen's.
    set_gemm_routes({GetParam(), aten ? GemmRoute::aten : default_gemm_routes().bf16});
  }
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

/// Every element of `product` = a b lies near the true one, as a part of what was added up for it, |a| |b|.
template <class T>
void expect_product(const Tensor& product, const Tensor& a, const Tensor& b, const char* what) {
  const Tensor left = a.detach().to(at::kDouble), right = b.detach().to(at::kDouble);
  const Tensor off = (product.detach().to(at::kDouble) - at::mm(left, right)).abs();
  const Tensor scale = at::mm(left.abs(), right.abs());
  EXPECT_LE((off / scale).max().item<double>(), testing::tolerance<T>(left.size(1))) << what;
}

template <class T>
void expect_products(at::ScalarType type, int64_t m) {
  Tensor x = normal({m, 64}, 1, type), a = normal({40, 64}, 2, type), b = normal({24, 64}, 3, type);
  const Tensor dy = normal({m, 64}, 4, type);
  const Tensor w = at::cat({a, b});
  x.requires_grad_(), a.requires_grad_(), b.requires_grad_();
  const Tensor y = linear(x, Matrix({a, b}));
  y.backward(dy);
  expect_product<T>(y, x, w.t(), "y");
  expect_product<T>(x.grad(), dy, w, "dx");
  expect_product<T>(a.grad(), dy.narrow(1, 0, 40).t(), x, "da");
  expect_product<T>(b.grad(), dy.narrow(1, 40, 24).t(), x, "db");
}

TEST_P(Linear, ForwardAndGradientsAreTheProducts) {
  for (const int64_t m : {1, 2, 3, 31, 33, 128}) {
    SCOPED_TRACE(m);
    expect_products<float>(at::kFloat, m);
    expect_products<kernels::bf16>(at::kBFloat16, m);
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

// The second matrix of a shape is packed by prefer, unless oneDNN's form of it is not one that prefer knows.
TEST(Packing, HasTheLibrarysBytes) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (gemm::route_of(at::zeros({1, 1}, type)) != GemmRoute::onednn) continue;
    for (const auto& [rows, columns] : {std::pair<int64_t, int64_t>{64, 64},
                                        {192, 576},
                                        {48, 1536},
                                        {7, 64},
                                        {173, 90},
                                        {90, 173},
                                        {1, 40},
                                        {1000, 33},
                                        {33, 1000}}) {
      const std::vector<Tensor> parts{normal({rows, columns}, 1, type), normal({7, columns}, 2, type),
                                      normal({columns, 32}, 3, type).t()};
      const auto library = [](const Tensor& weight) {
        return std::string(gemm::bytes_of(gemm::pack_by_library(weight.contiguous())));
      };
      const std::string plain = library(at::cat(parts)), transposed = library(at::cat(parts).t());
      for (int time = 1; time <= 3; ++time) {
        const gemm::Packed a = gemm::pack(parts), b = gemm::pack_transposed(parts);
        EXPECT_TRUE(gemm::bytes_of(a) == plain) << rows << " x " << columns << ", " << type;
        EXPECT_TRUE(gemm::bytes_of(b) == transposed) << rows << " x " << columns << ", " << type;
      }
    }
  }
}

TEST(Packing, IsPrefersOwnForTheShapesThatModelsHave) {
  if (!kernels::supported(kernels::Isa::avx512)) GTEST_SKIP() << "other forms on CPUs without AVX-512";
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (type == at::kBFloat16 && !__builtin_cpu_supports("avx512bf16")) continue;  // likewise
    const Tensor weight = normal({192, 576}, 1, type);
    gemm::pack(weight), gemm::pack_transposed(weight);
    EXPECT_TRUE(gemm::pack(weight).memory.defined()) << type;
    EXPECT_TRUE(gemm::pack_transposed(weight).memory.defined()) << type;
  }
}

TEST(RowBlocks, CoverAllRowsWithFewTwice) {
  const auto allowed = [](int64_t count) { return count != 256 && count != 512; };
  using Blocks = std::vector<gemm::RowBlock>;
  EXPECT_EQ(gemm::row_blocks(1, allowed, 0), (Blocks{{0, 18}}));
  EXPECT_EQ(gemm::row_blocks(20, allowed, 0), (Blocks{{0, 32}}));
  EXPECT_EQ(gemm::row_blocks(128, allowed, 0), (Blocks{{0, 128}}));
  EXPECT_EQ(gemm::row_blocks(300, allowed, 0), (Blocks{{0, 128}, {128, 128}, {236, 64}}));
  EXPECT_EQ(gemm::row_blocks(
                70, [](int64_t count) { return count == 32; }, 0),
            (Blocks{{0, 32}, {32, 32}, {38, 32}}));
  EXPECT_EQ(gemm::row_blocks(20, allowed, 31), (Blocks{{0, 20}}));
  EXPECT_EQ(gemm::row_blocks(200, allowed, 31), (Blocks{{0, 128}, {128, 64}, {192, 8}}));
  for (int64_t rows = 1; rows < 700; ++rows) {
    int64_t done = 0, computed = 0;
    for (const auto& [first, count] : gemm::row_blocks(rows, allowed, 0)) {
      ASSERT_LE(first, done) << rows;
      ASSERT_TRUE(first + count <= rows || rows < count) << rows;
      done = first + count, computed += count;
    }
    ASSERT_GE(done, rows);
    ASSERT_LE(computed, rows + 31);
  }
}

// The shapes of SmolLM2 and some more, in heights on both sides of what libraries tell apart.
TEST(RowBlocks, KeepARowsBitsInProductsOfEveryHeight) {
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    if (!self_test_invariance(type).rows) continue;  // Invariance says where that may be
    for (const auto& [out, in] : {std::pair<int64_t, int64_t>{960, 576},
                                  {576, 1536},
                                  {3072, 576},
                                  {64, 1536},
                                  {31, 250},
                                  {40000, 64}}) {
      const Matrix w(gemm::cancelling_weight(out, in, type));
      const Tensor x = gemm::cancelling_rows(1090, in, type), whole = times_transposed(x, w);
      ASSERT_GT(whole.abs().max().item<double>(), 0) << type << " " << out;  // there is rounding to see
      for (const int64_t rows : {1, 2, 7, 17, 18, 31, 33, 100, 250, 288, 500, 700, 900}) {
        EXPECT_TRUE(at::equal(times_transposed(x.narrow(0, 0, rows), w), whole.narrow(0, 0, rows)))
            << rows << " rows of [" << out << ", " << in << "], " << type;
        EXPECT_TRUE(at::equal(times_transposed(x.narrow(0, 1090 - rows, rows), w),
                              whole.narrow(0, 1090 - rows, rows)))
            << "last " << rows << " rows of [" << out << ", " << in << "], " << type;
      }
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
  EXPECT_TRUE(at::equal(linear(x, frozen.frozen()), before));
  EXPECT_THROW(prepare_times(frozen), Error);
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
    // The promise is prefer's own work there, not the library's.
    EXPECT_TRUE(report.rows || type != at::kBFloat16 || !kernels::few_rows::amx::supported());
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
  EXPECT_EQ(testing::error_of([&] {
              linear(normal({3, 4}, 2), w, normal({5}, 3, at::kFloat));
            }),
            "linear wants a bias [5] Double on cpu, not [5] Float on cpu");
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
