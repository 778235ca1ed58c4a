// What a run says of itself before the first step.
#include "prefer/trainers/run_files.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

TEST(MemoryEstimate, SaysPartsAndWholeInOneUnit) {
  const MemoryEstimate estimate{
      .weights = 650'000'000, .gradients = 54'000'000, .optimizer = 1'080'000'000, .activations = 900'000};
  EXPECT_EQ(estimate.text(),
            "about 1.93 GB at the peak: weights 0.65 GB, gradients 0.05 GB, optimizer 1.08 GB, activations "
            "0.00 GB, the program itself 0.15 GB");
}

}  // namespace
}  // namespace prefer
