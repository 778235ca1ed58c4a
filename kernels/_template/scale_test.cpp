// scale: CPU and group twins against the reference over one list of cases, and a property. Goes to
// tests/kernels/.
#include "kernels/scale/scale.hpp"

#include "kernels/scale/body.hpp"
#include "support/kernels.hpp"
#include "support/tolerance.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::scale {
namespace {

using namespace prefer::testing;

struct Case {
  std::int64_t rows, width, stride;
  double scale = 1;
};

const Case kCases[] = {{0, 5, 5},     {1, 1, 1},     {2, 31, 31},       {2, 33, 40},        {3, 127, 127},
                       {3, 128, 128}, {3, 129, 130}, {2, 32003, 32003}, {2, 300, 300, 1e30}};

template <class T>
struct Data {
  explicit Data(const Case& c)
      : shape(c),
        x(normals<T>(c.rows * c.stride, 1, c.scale)),
        y(static_cast<std::size_t>(c.rows * c.width)) {}
  Forward<T> forward(Isa isa = best_isa()) {
    Forward<T> a;
    a.x = x.data(), a.y = y.data();
    a.rows = shape.rows, a.width = shape.width, a.x_stride = shape.stride;
    a.factor = 1.25;
    a.isa = isa;
    return a;
  }
  Case shape;
  std::vector<T> x, y;
};

template <class T>
class Scale : public ::testing::Test {
 protected:
  template <class Twin>
  void compare(Twin twin) {
    for (const Case& c : kCases) {
      SCOPED_TRACE(::testing::Message() << type_name<T>() << " [" << c.rows << ", " << c.width << "]");
      Data<T> data(c), expected(c);
      reference::forward(expected.forward());
      twin(data);
      for (std::size_t i = 0; i < expected.y.size(); ++i) {
        const double y = widen(expected.y[i]);
        ASSERT_TRUE(near(widen(data.y[i]), y, tolerance<T>(1) * std::abs(y))) << i;
      }
    }
  }
};
using Types = ::testing::Types<float, bf16>;
TYPED_TEST_SUITE(Scale, Types);

TYPED_TEST(Scale, CpuIsTheReferenceOnEveryInstructionSet) {
  for (const Isa isa : isas()) this->compare([&](auto& data) { cpu::forward(data.forward(isa)); });
}

TYPED_TEST(Scale, GroupsAreTheReference) {
  for (const int size : {1, 4}) {
    this->compare([&](auto& data) {
      ThreadGroup::run(size, [&](const ThreadGroup& group) {
        for (std::int64_t row = 0; row < data.shape.rows; ++row) forward_row(data.forward(), row, group);
      });
    });
  }
}

TYPED_TEST(Scale, ThreadsKeepTheBits) {
  Data<TypeParam> one({9, 100, 100}), two({9, 100, 100});
  with_threads(1, [&] { cpu::forward(one.forward()); });
  with_threads(2, [&] { cpu::forward(two.forward()); });
  EXPECT_TRUE(same_bits(one.y, two.y));
}

TEST(ScaleReference, TimesAPowerOfTwoIsExact) {
  Data<double> data({2, 10, 10});
  auto args = data.forward();
  args.factor = 2;
  reference::forward(args);
  for (std::size_t i = 0; i < data.y.size(); ++i) EXPECT_EQ(data.y[i], data.x[i] + data.x[i]);
}

}  // namespace
}  // namespace prefer::kernels::scale
