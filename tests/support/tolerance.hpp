// How far a computed number may lie from the true one: one table, by the type it is held in and the length of
// the sums.
#pragma once

#include "kernels/number.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <cstdint>
#include <type_traits>

namespace prefer::testing {

/// Allowed error as a part of the magnitude of what was added up. A sum of n terms of either sign loses about
/// sqrt(n) roundings of the type it is formed in; a result held in bf16 is formed in float and rounded, twice
/// at most.
///
///   held in | n = 1   | n = 1024 | n = 49152
///   double  | 1.1e-15 | 8.0e-15  | 5.0e-14
///   float   | 6.0e-7  | 4.3e-6   | 2.7e-5
///   bf16    | 7.8e-3  | 7.8e-3   | 7.8e-3
template <class T>
constexpr double tolerance(std::int64_t length) {
  const double growth = 4 + std::sqrt(static_cast<double>(length));
  if (std::is_same_v<T, double>) return 0x1p-52 * growth;
  if (std::is_same_v<T, float>) return 0x1p-23 * growth;
  return 0x1p-7 + 0x1p-23 * growth;
}

/// |actual - expected| <= allowed, where NaN equals NaN and each infinity itself.
inline ::testing::AssertionResult near(double actual, double expected, double allowed) {
  if (std::isnan(expected) ? std::isnan(actual) : actual == expected) return ::testing::AssertionSuccess();
  if (std::abs(actual - expected) <= allowed) return ::testing::AssertionSuccess();
  return ::testing::AssertionFailure() << actual << " is not " << expected << " within " << allowed
                                       << " (off by " << std::abs(actual - expected) << ")";
}

}  // namespace prefer::testing
