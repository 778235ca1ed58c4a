// The device under test, and how near its numbers must lie to the CPU's.
#pragma once

#include "prefer/tensor.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {

inline const at::Device kGpu(at::kCUDA, 0);

/// How far two right computations lie apart that order their sums differently, as a part of a tensor's
/// largest number (the rows of the GPU in docs/numerics.md): a model's loss and gradients in fp32; an op's
/// results and gradients by number type.
inline constexpr double kModel = 1e-4;
inline double op_tolerance(at::ScalarType type) { return type == at::kBFloat16 ? 0x1p-6 : 2e-5; }

/// The largest difference is within `tolerance` of the largest number of `wanted`.
inline void expect_near(const Tensor& found, const Tensor& wanted, double tolerance,
                        const std::string& what) {
  ASSERT_EQ(found.defined(), wanted.defined()) << what;
  if (!wanted.defined()) return;
  ASSERT_EQ(found.device(), kGpu) << what;
  ASSERT_EQ(found.sizes(), wanted.sizes()) << what;
  if (wanted.numel() == 0) return;
  const Tensor here = found.detach().to(at::kCPU, at::kDouble), there = wanted.detach().to(at::kDouble);
  const double scale = there.abs().max().item<double>();
  EXPECT_LE((here - there).abs().max().item<double>(), tolerance * scale)
      << what << ", of numbers up to " << scale;
}

}  // namespace prefer::testing
