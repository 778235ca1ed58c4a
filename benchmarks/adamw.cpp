// Speed of adamw's CPU twin beside the copy bandwidth of the same run: adamw [elements].
#include "kernels/adamw/adamw.hpp"

#include "support.hpp"

#include <string>

namespace {

using namespace prefer::kernels;
using prefer::benchmark::Memory;

void run(std::int64_t size, double copy) {
  Memory<float> param(size), grad(size), m(size), v(size);
  Memory<bf16> shadow(size);
  for (std::int64_t i = 0; i < size; ++i) param[i] = 1, grad[i] = static_cast<float>(i % 17) - 8;
  for (const Isa isa : {Isa::avx512, Isa::avx2, Isa::portable}) {
    if (!supported(isa)) continue;
    adamw::Step<float> step;
    step.param = param.data(), step.grad = grad.data(), step.m = m.data(), step.v = v.data();
    step.size = size, step.learning_rate = 1e-4, step.weight_decay = 0.01;
    step.isa = isa;
    const auto update = [&] {
      adamw::cpu::forward(step);
      ++step.step;
    };
    const double bytes = 28 * static_cast<double>(size);  // reads four floats, writes three
    prefer::benchmark::report(name(isa), bytes, prefer::benchmark::best_seconds(9, update), copy);
    step.copy = shadow.data();
    prefer::benchmark::report((std::string(name(isa)) + " with bf16 copy").c_str(),
                              bytes + 2 * static_cast<double>(size),
                              prefer::benchmark::best_seconds(9, update), copy);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t size = argc > 1 ? std::atoll(argv[1]) : std::int64_t{32} << 20;
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; %lld elements\n", copy / 1e9, static_cast<long long>(size));
  run(size, copy);
}
