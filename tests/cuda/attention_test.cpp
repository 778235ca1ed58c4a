// The CUDA twins of attention against the reference, over the cases of the CPU twins, and the same bits in
// equal calls.
#include "tests/cuda/device.hpp"
#include "tests/kernels/attention_cases.hpp"

#include <gtest/gtest.h>

namespace prefer::kernels::attention {
namespace {

/// Forward and backward on the device; q, k, v, dout and all results are copied there and back.
template <class T>
void run(Problem<T>& problem, const Plan& plan, bool with_forward = true) {
  testing::OnDevice there;
  there.add(problem.fused);
  there.add(problem.out);
  there.add(problem.dout);
  there.add(problem.gradient);
  there.add(problem.lse);
  if (with_forward) cuda::forward(there(problem.forward(plan)));
  cuda::backward(there(problem.backward(plan)));
  there.bring_back();
}

TEST(CudaAttention, IsTheReference) {
  for (const Case& c : cases()) {
    SCOPED_TRACE(c.name);
    const Plan plan = with_cut_spans(plan_of(c.forest), 21);
    Problem<float> got(plan.tokens, c.sizes, 20);
    Problem<double> want = converted<double>(got);
    reference::forward(want.forward(plan));
    reference::backward(want.backward(plan));
    run(got, plan);
    EXPECT_LE(worst(got.out, want.out), tolerance(got));
    EXPECT_LE(worst(got.lse, want.lse), tolerance(got));
    EXPECT_LE(worst(got.gradient, want.gradient), tolerance(got));
  }
}

TEST(CudaAttention, RoundsTheReferenceOnceInBf16) {
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
    run(got, plan, /*with_forward=*/false);
    EXPECT_LE(worst(got.gradient, want.gradient, std::ldexp(1.0, -8)), tolerance(source));
    reference::forward(want.forward(plan));
    run(got, plan);
    EXPECT_LE(worst(got.out, want.out, std::ldexp(1.0, -8)), tolerance(source));
    EXPECT_LE(worst(got.lse, want.lse), tolerance(source));
  }
}

TEST(CudaAttention, EqualCallsGiveEqualBits) {
  const Plan plan = plan_of({{300, -1}, {150, 0}, {99, 0}});
  Problem<float> one(plan.tokens, {9, 3, 64, 0}, 12), two = one;
  run(one, plan);
  run(two, plan);
  EXPECT_EQ(one.out, two.out);
  EXPECT_EQ(one.gradient, two.gradient);
}

}  // namespace
}  // namespace prefer::kernels::attention
