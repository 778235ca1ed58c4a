// token_logprob: CPU and group twins against the reference over one list of cases, gradients, properties,
// edges.
#include "kernels/token_logprob/token_logprob.hpp"

#include "golden/kernels.hpp"
#include "kernels/token_logprob/body.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

#include <limits>
#include <numeric>

namespace prefer::kernels::token_logprob {
namespace {

using namespace prefer::testing;

constexpr double kInf = std::numeric_limits<double>::infinity();

struct Case {
  std::int64_t rows, vocab, stride;
  double scale = 3;  // of the logits
  float inv_temperature = 1;
  bool masked = false;  // every third logit is -inf, and the whole first block
};

const Case kCases[] = {
    {0, 5, 5},
    {1, 1, 1},
    {3, 2, 2},
    {2, 31, 31},
    {2, 33, 40},
    {3, 127, 127},
    {3, 128, 130},
    {3, 129, 129},
    {2, 1023, 1023},
    {2, 1025, 1031},
    {2, 4096, 4096, 3, 1.7f},
    {2, 32003, 32003},
    {2, 49152, 49160},
    {3, 1500, 1500, 1e4},
    {2, 1500, 1500, 1e4, 0.25f},
    {2, 3001, 3001, 3, 1, true},
    {2, 40, 40, 3, 0.5f, true},
};

/// Inputs and outputs of one case in T.
template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c) {
    logits = normals<T>(c.rows * c.stride, 1, c.scale);
    for (std::int64_t row = 0; row < c.rows; ++row) {
      if (c.masked) {
        for (std::int64_t j = 0; j < c.vocab; ++j) {
          if (j % 3 == 1 || (c.vocab > 1024 && j < 1024)) at(row, j) = narrow<T>(-kInf);
        }
      }
      label.push_back((c.vocab - 1) / (row + 1) / 3 * 3);
    }
    const auto n = static_cast<std::size_t>(c.rows);
    logp = lse = entropy = std::vector<Wide<T>>(n);
    argmax.resize(n);
    grad_logp = normals<Wide<T>>(c.rows, 2);
    grad_entropy = normals<Wide<T>>(c.rows, 3);
    grad = logits;
  }
  T& at(std::int64_t row, std::int64_t j) { return logits[static_cast<std::size_t>(row * shape.stride + j)]; }

  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a{.logits = logits.data(), .label = label.data(), .rows = shape.rows, .vocab = shape.vocab};
    a.stride = shape.stride;
    a.inv_temperature = shape.inv_temperature;
    a.logp = logp.data();
    a.lse = lse.data();
    a.entropy = entropy.data();
    a.argmax = argmax.data();
    a.isa = isa;
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a{.logits = logits.data(), .label = label.data(), .rows = shape.rows, .vocab = shape.vocab};
    a.stride = a.grad_stride = shape.stride;
    a.inv_temperature = shape.inv_temperature;
    a.lse = lse.data();
    a.entropy = entropy.data();
    a.grad_logp = grad_logp.data();
    a.grad_entropy = grad_entropy.data();
    a.grad = grad.data();
    a.isa = isa;
    return a;
  }
  /// The largest |z|: what a float's rounding is a part of.
  double magnitude() const {
    double largest = 1;
    for (const T x : logits) {
      const double z = std::abs(static_cast<double>(shape.inv_temperature) * widen(x));
      if (z < kInf) largest = std::max(largest, z);
    }
    return largest;
  }

  Case shape;
  std::vector<T> logits, grad;
  std::vector<std::int64_t> label, argmax;
  std::vector<Wide<T>> logp, lse, entropy, grad_logp, grad_entropy;
};

template <class T>
class TokenLogprob : public ::testing::Test {
 protected:
  /// Runs `twin` (forward and backward of a Data) on every case and compares with the reference.
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.vocab << "] scale " << c.scale);
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      twin(data);
      compare_forward(data, expected);
      expected.lse = data.lse;
      expected.entropy = data.entropy;
      reference::backward(expected.backward());
      compare_backward(data, expected);
    }
  }

 private:
  void compare_forward(const Data<T>& data, const Data<T>& expected) {
    const double allowed = tolerance<Wide<T>>(data.shape.vocab) * expected.magnitude();
    for (std::size_t row = 0; row < data.logp.size(); ++row) {
      EXPECT_TRUE(near(data.logp[row], expected.logp[row], allowed)) << "logp of row " << row;
      EXPECT_TRUE(near(data.lse[row], expected.lse[row], allowed)) << "lse of row " << row;
      EXPECT_TRUE(near(data.entropy[row], expected.entropy[row], allowed)) << "entropy of row " << row;
      EXPECT_EQ(data.argmax[row], expected.argmax[row]) << "row " << row;
    }
  }
  void compare_backward(const Data<T>& data, const Data<T>& expected) {
    const double scale = data.shape.inv_temperature, magnitude = expected.magnitude();
    for (std::size_t i = 0; i < data.grad.size(); ++i) {
      const std::size_t row = i / static_cast<std::size_t>(data.shape.stride);
      const double z = scale * widen(data.logits[i]), p = z == -kInf ? 0 : std::exp(z - data.lse[row]);
      const double terms = std::abs(data.grad_logp[row]) + std::abs(data.grad_entropy[row]) * 2 * magnitude;
      const double allowed = tolerance<Wide<T>>(1) * magnitude * scale * terms * p +
                             tolerance<T>(1) * std::abs(widen(expected.grad[i])) + 1e-36;
      EXPECT_TRUE(near(widen(data.grad[i]), widen(expected.grad[i]), allowed)) << "element " << i;
      if (::testing::Test::HasFailure()) return;
    }
  }
};
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
  const double step = 1e-6;
  for (std::int64_t row = 0; row < 2; ++row) {
    for (std::int64_t j = 0; j < 7; ++j) {
      double& x = data.at(row, j);
      const double kept = x;
      x = kept + step;
      const double above = objective();
      x = kept - step;
      const double below = objective();
      x = kept;
      EXPECT_NEAR(data.grad[static_cast<std::size_t>(row * 9 + j)], (above - below) / (2 * step), 1e-8);
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

}  // namespace
}  // namespace prefer::kernels::token_logprob
