// Tests of bits run where this CPU keeps them: elsewhere they are skipped with the line that programs print.
#pragma once

#include "prefer/ops/gemm.hpp"

#include <gtest/gtest.h>

/// Skips the test where products of `type` do not keep a row's bits (self_test_invariance).
#define PREFER_NEEDS_INVARIANCE(type)                                                           \
  if (const prefer::InvarianceReport report = prefer::self_test_invariance(type); !report.rows) \
  GTEST_SKIP() << report.broken.front()
