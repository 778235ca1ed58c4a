// Speed of scan's CPU twin beside the copy bandwidth of the same run: scan [sequences] [tokens].
#include "kernels/scan/scan.hpp"

#include "support.hpp"

#include <vector>

int main(int argc, char** argv) {
  using namespace prefer::kernels;
  using prefer::benchmark::Memory;
  const std::int64_t sequences = argc > 1 ? std::atoll(argv[1]) : 16384,
                     tokens = argc > 2 ? std::atoll(argv[2]) : 512;
  const std::int64_t size = sequences * tokens;
  Memory<float> reward(size), value(size), advantage(size), returns(size);
  prefer::benchmark::fill(reward, 1);
  prefer::benchmark::fill(value, 1);
  std::vector<std::int64_t> begin;
  for (std::int64_t s = 0; s <= sequences; ++s) begin.push_back(s * tokens);
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; %lld sequences of %lld tokens\n", copy / 1e9,
              static_cast<long long>(sequences), static_cast<long long>(tokens));
  prefer::benchmark::for_each_isa([&](Isa isa) {
    const scan::Gae<float> gae{.reward = reward.data(),
                               .value = value.data(),
                               .begin = begin.data(),
                               .sequences = sequences,
                               .advantage = advantage.data(),
                               .returns = returns.data(),
                               .isa = isa};
    prefer::benchmark::measure(std::string("float ") + name(isa), 16 * static_cast<double>(size), copy,
                               [&] { scan::cpu::forward(gae); });
  });
}
