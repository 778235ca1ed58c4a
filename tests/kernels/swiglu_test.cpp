// swiglu: CPU and element twins against the reference over one list of cases, gradient and golden numbers.
#include "golden/kernels.hpp"
#include "kernels/swiglu/body.hpp"
#include "tests/kernels/swiglu_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::swiglu {
namespace {

using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Swiglu, Types);

TYPED_TEST(Swiglu, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) {
    SCOPED_TRACE(name(isa));
    this->compare([&](auto& data) {
      cpu::forward(data.forward(isa));
      cpu::backward(data.backward(isa));
    });
  }
}

TYPED_TEST(Swiglu, GroupsAreTheReference) {
  for (const int size : {1, 4}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) {
          forward_row(data.forward(), row, group);
          backward_row(data.backward(), row, group);
        }
      });
    });
  }
}

TYPED_TEST(Swiglu, GradientsOverTheInputsAndThreadsKeepTheBits) {
  Data<TypeParam> apart({9, 100}), in_place({9, 100});
  with_threads(1, [&] { cpu::backward(apart.backward()); });
  auto args = in_place.backward();
  args.dgate = in_place.gate.data(), args.dup = in_place.up.data();
  with_threads(2, [&] { cpu::backward(args); });
  EXPECT_TRUE(same_bits(apart.dgate, in_place.gate) && same_bits(apart.dup, in_place.up));
}

TEST(SwigluReference, IsTransformersInBf16) {
  Data<bf16> data({1, 24});
  for (std::size_t i = 0; i < 24; ++i) {
    data.gate[i] = narrow<bf16>(golden::kGate[i]);
    data.up[i] = narrow<bf16>(golden::kUp[i]);
  }
  reference::forward(data.forward());
  for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(widen(data.h[i]), golden::kSwiglu[i]) << i;
  for (const Isa isa : isas()) {
    cpu::forward(data.forward(isa));
    for (std::size_t i = 0; i < 24; ++i) EXPECT_EQ(widen(data.h[i]), golden::kSwiglu[i]) << i;
  }
}

TEST(SwigluReference, GradientIsTheFiniteDifference) {
  Data<double> data({2, 5});
  const auto objective = [&] {
    reference::forward(data.forward());
    double total = 0;
    for (std::size_t i = 0; i < data.h.size(); ++i) total += data.dh[i] * data.h[i];
    return total;
  };
  reference::backward(data.backward());
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(data.dgate[i], slope(objective, data.gate[i]), 1e-8);
    EXPECT_NEAR(data.dup[i], slope(objective, data.up[i]), 1e-8);
  }
}

TEST(SwigluErrors, StridesCoverTheWidth) {
  Data<float> data({2, 5});
  auto args = data.forward();
  args.gate_stride = 4;
  EXPECT_THROW(cpu::forward(args), std::invalid_argument);
}

}  // namespace
}  // namespace prefer::kernels::swiglu
