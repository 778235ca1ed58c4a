// A rank of one on a GPU: NCCL adds up what lies there, Gloo what does not, and a run goes as without them.
#include "prefer/dist/ranks.hpp"

#include "cuda_model/device.hpp"
#include "prefer/train/fixed_point.hpp"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmath>

namespace prefer {
namespace {

using testing::kGpu;

int free_port() {
  const int number = socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  bind(number, reinterpret_cast<sockaddr*>(&address), size);
  getsockname(number, reinterpret_cast<sockaddr*>(&address), &size);
  close(number);
  return ntohs(address.sin_port);
}

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
