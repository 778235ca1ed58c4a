// adamw: CPU and element twins against the reference over one list of sizes, torch's numbers, a closed form.
#include "golden/kernels.hpp"
#include "kernels/adamw/body.hpp"
#include "tests/kernels/adamw_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::adamw {
namespace {

TEST(Adamw, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << name(isa) << " " << c.size << " scale " << c.scale);
      Data<float> data(c), expected(c);
      reference::forward(expected.args());
      cpu::forward(data.args(3, isa));
      expect_near(data, expected);
    }
  }
}

TEST(Adamw, ElementsAreTheReference) {
  for (const Case& c : kCases) {
    SCOPED_TRACE(::testing::Message() << c.size << " scale " << c.scale);
    Data<float> data(c), expected(c);
    reference::forward(expected.args());
    const auto args = data.args();
    for (std::int64_t i = 0; i < c.size; ++i) update_element(args, factors(args), i);
    expect_near(data, expected);
  }
}

TEST(Adamw, BitsDependOnNeitherThreadsNorPlace) {
  for (const Isa isa : isas()) {
    Data<float> one({50000}), two({50000});
    with_threads(1, [&] { cpu::forward(one.args(3, isa)); });
    with_threads(2, [&] { cpu::forward(two.args(3, isa)); });
    EXPECT_TRUE(same_bits(one.param, two.param) && same_bits(one.m, two.m) && same_bits(one.v, two.v));
    Data<float> part({50000});
    auto args = part.args(3, isa);
    args.param += 7, args.grad += 7, args.m += 7, args.v += 7, args.copy += 7;
    args.size = 100;
    cpu::forward(args);
    EXPECT_TRUE(std::equal(part.param.begin() + 7, part.param.begin() + 107, one.param.begin() + 7));
  }
}

TEST(Adamw, FirstStepMovesBySignOfTheGradient) {
  // From m = v = 0: m / (1 - beta1) = g and sqrt(v / (1 - beta2)) = |g|, so p' = p (1 - lr wd) - lr g / (|g|
  // + eps).
  Data<double> data({50});
  std::fill(data.m.begin(), data.m.end(), 0.0);
  std::fill(data.v.begin(), data.v.end(), 0.0);
  const std::vector<double> before = data.param;
  reference::forward(data.args(1));
  for (std::size_t i = 0; i < before.size(); ++i) {
    const double g = 0.5 * data.grad[i];
    EXPECT_NEAR(data.param[i], before[i] * (1 - 0.01 * 0.1) - 0.01 * g / (std::abs(g) + 1e-8), 1e-12);
  }
}

template <class T, class Twin>
void expect_torchs_steps(double allowed, Twin twin) {
  std::vector<T> param(std::begin(golden::kAdamwStart), std::end(golden::kAdamwStart)), m(5), v(5), grad(5);
  for (std::size_t step = 1; step <= 5; ++step) {
    for (std::size_t i = 0; i < 5; ++i) grad[i] = static_cast<T>(golden::kAdamwGrads[(step - 1) * 5 + i]);
    Step<T> a;
    a.param = param.data(), a.grad = grad.data(), a.m = m.data(), a.v = v.data(), a.size = 5;
    a.learning_rate = 0.01, a.beta1 = 0.9, a.beta2 = 0.95, a.eps = 1e-6, a.weight_decay = 0.1;
    a.step = static_cast<std::int64_t>(step);
    twin(a);
    for (std::size_t i = 0; i < 5; ++i) {
      EXPECT_NEAR(param[i], golden::kAdamwParams[(step - 1) * 5 + i], allowed)
          << "step " << step << ", " << i;
    }
  }
}

TEST(Adamw, FiveStepsAreThoseOfTorch) {
  expect_torchs_steps<double>(1e-14, [](const Step<double>& a) { reference::forward(a); });
  for (const Isa isa : isas()) {
    expect_torchs_steps<float>(1e-6, [isa](Step<float> a) {
      a.isa = isa;
      cpu::forward(a);
    });
  }
}

TEST(AdamwErrors, StepsCountFromOne) {
  Data<float> data({3});
  EXPECT_THROW(cpu::forward(data.args(0)), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::adamw
