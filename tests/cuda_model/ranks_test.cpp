// A rank of one on a GPU: NCCL adds up what lies there, Gloo what does not, and a run goes as without them.
#include "prefer/dist/ranks.hpp"

#include "cuda_model/device.hpp"
#include "prefer/train/fixed_point.hpp"
#include "support/port.hpp"

#include <cmath>

namespace prefer {
namespace {

using testing::free_port;
using testing::kGpu;

TEST(CudaRanks, NcclAndGlooStandBehindOneTeam) {
  const auto team = join({.address = "127.0.0.1", .port = free_port()}, kGpu);
  std::vector<Tensor> tensors = {at::full({1000}, 0.5, at::TensorOptions(kGpu).dtype(at::kFloat)),
                                 at::full({1000}, int64_t{1} << 60, at::TensorOptions(kGpu).dtype(at::kLong)),
                                 at::full({3}, 0.25, at::kDouble)};
  team->reduce(tensors);
  EXPECT_EQ(tensors[0].sum().item<float>(), 500);
  EXPECT_EQ(tensors[1].min().item<int64_t>(), int64_t{1} << 60);
  EXPECT_EQ(tensors[2].sum().item<double>(), 0.75);
  EXPECT_TRUE(team->any(true));
}

TEST(CudaRanks, FixedPointIsThatOfTheCpu) {
  Alone team;
  std::vector<double> values;
  for (int i = 0; i < 5000; ++i) values.push_back(std::sin(i * 1.7) * std::pow(10.0, i % 9 - 7));
  const auto sum = [&](at::Device device) {
    FixedPoint fixed(1);
    const Tensor gradient = tensor_of(values, at::kFloat).to(device);
    const Tensor units = at::empty({5000}, gradient.options().dtype(at::kLong));
    fixed.begin(2);
    do {
      fixed.add(units, gradient, 0, true);
      fixed.add(units, gradient * 0.75, 0, false);
    } while (!fixed.hold(team));
    const Tensor result = at::empty({5000}, gradient.options());
    fixed.read(result, units, 0);
    return result.to(at::kCPU);
  };
  EXPECT_TRUE(at::equal(sum(kGpu), sum(at::kCPU)));
}

}  // namespace
}  // namespace prefer
