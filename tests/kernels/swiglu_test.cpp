// swiglu: CPU and element twins against the reference over one list of cases, gradient and golden numbers.
#include "kernels/swiglu/swiglu.hpp"

#include "golden/kernels.hpp"
#include "kernels/swiglu/body.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::swiglu {
namespace {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, width;
  bool fused = false;  // gate and up are views of one [rows, 2 width]
  double scale = 2;    // of gate
};

const Case kCases[] = {{0, 3},
                       {1, 1},
                       {2, 31, true},
                       {3, 33},
                       {2, 63, true},
                       {2, 64},
                       {2, 65, true},
                       {3, 127},
                       {2, 129, true},
                       {2, 1536, true},
                       {1, 32003, true},
                       {2, 500, true, 60},
                       {2, 500, false, 1e4}};

/// Where exp(-gate) overflows, sigma comes out as 0 instead of something below 2^-128.
constexpr double kBottom = 0x1p-128 * 1e4;

template <class T>
struct Data {
  explicit Data(const Case& c) : shape(c), stride(c.fused ? 2 * c.width : c.width) {
    gate = normals<T>(c.rows * stride, 1, c.scale);
    up = c.fused ? gate : normals<T>(c.rows * stride, 2);
    dh = normals<T>(c.rows * c.width, 3);
    h = dh;
    dgate = dup = gate;
  }
  const T* up_data() const { return shape.fused ? gate.data() + shape.width : up.data(); }
  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a;
    a.gate = gate.data(), a.up = up_data();
    a.rows = shape.rows, a.width = shape.width;
    a.gate_stride = a.up_stride = stride;
    a.h = h.data();
    a.isa = isa;
    return a;
  }
  Backward<T> backward(Isa isa = best_isa()) {
    Backward<T> a;
    a.gate = gate.data(), a.up = up_data(), a.dh = dh.data();
    a.rows = shape.rows, a.width = shape.width;
    a.gate_stride = a.up_stride = stride;
    a.dgate = dgate.data(), a.dup = dup.data();
    a.isa = isa;
    return a;
  }
  Case shape;
  std::int64_t stride;
  std::vector<T> gate, up, dh, h, dgate, dup;
};

template <class T>
class Swiglu : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message()
                   << type_name<T>() << " [" << c.rows << ", " << c.width << "] " << c.scale);
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      reference::backward(expected.backward());
      twin(data);
      for (std::size_t i = 0; i < data.gate.size(); ++i) {
        const auto allowed = [&](T value) { return 2 * tolerance<T>(1) * std::abs(widen(value)) + kBottom; };
        if (i < data.h.size()) {
          ASSERT_TRUE(near(widen(data.h[i]), widen(expected.h[i]), allowed(expected.h[i]))) << "h " << i;
        }
        ASSERT_TRUE(near(widen(data.dup[i]), widen(expected.dup[i]), allowed(expected.dup[i])))
            << "dup " << i;
        // 1 + gate (1 - sigma) cancels at the bottom of silu's dip, and for large gate: |dh up| (1 + |gate|)
        // bounds it.
        const std::size_t row = i / static_cast<std::size_t>(data.stride),
                          j = i % static_cast<std::size_t>(data.stride);
        if (j >= static_cast<std::size_t>(c.width)) continue;
        const double terms =
            std::abs(widen(data.dh[row * static_cast<std::size_t>(c.width) + j]) * widen(data.up_data()[i])) *
            2;
        ASSERT_TRUE(near(widen(data.dgate[i]), widen(expected.dgate[i]),
                         allowed(expected.dgate[i]) + tolerance<float>(1) * terms))
            << "dgate " << i;
      }
    }
  }
};
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

TYPED_TEST(Swiglu, ElementsAreTheReference) {
  this->compare([&](auto& data) {
    for (std::int64_t row = 0; row < data.shape.rows; ++row) {
      for (std::int64_t i = 0; i < data.shape.width; ++i) {
        forward_element(data.forward(), row, i);
        backward_element(data.backward(), row, i);
      }
    }
  });
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
  const auto slope = [&](double& x) {
    const double kept = x, step = 1e-6;
    x = kept + step;
    const double above = objective();
    x = kept - step;
    const double below = objective();
    x = kept;
    return (above - below) / (2 * step);
  };
  reference::backward(data.backward());
  for (std::size_t i = 0; i < 10; ++i) {
    EXPECT_NEAR(data.dgate[i], slope(data.gate[i]), 1e-8);
    EXPECT_NEAR(data.dup[i], slope(data.up[i]), 1e-8);
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
