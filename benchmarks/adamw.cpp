// Speed of adamw's CPU twin beside the copy bandwidth and LibTorch's AdamW of the same run: adamw [elements].
#include "kernels/adamw/adamw.hpp"

#include "prefer/tensor.hpp"
#include "support.hpp"

#include <ATen/ops/_fused_adamw.h>

#include <cmath>

namespace {

using namespace prefer::kernels;
using prefer::Tensor;
using prefer::benchmark::Memory;

constexpr double kRate = 1e-4, kDecay = 0.01, kBeta1 = 0.9, kBeta2 = 0.999, kEps = 1e-8;

struct State {
  Tensor param, grad, m, v;
};

/// torch.optim.AdamW without fusion: one pass over memory an operation.
void composite(State& s, double step) {
  const Tensor denominator = s.v.mul_(kBeta2)
                                 .addcmul_(s.grad, s.grad, 1 - kBeta2)
                                 .sqrt()
                                 .div_(std::sqrt(1 - std::pow(kBeta2, step)))
                                 .add_(kEps);
  s.param.mul_(1 - kRate * kDecay);
  s.m.lerp_(s.grad, 1 - kBeta1);
  s.param.addcdiv_(s.m, denominator, -kRate / (1 - std::pow(kBeta1, step)));
}

void fused(State& s, double step) {
  std::vector<Tensor> param{s.param}, grad{s.grad}, m{s.m}, v{s.v}, none;
  const std::vector<Tensor> steps{at::scalar_tensor(step)};
  at::_fused_adamw_(param, grad, m, v, none, steps, kRate, kBeta1, kBeta2, kDecay, kEps, /*amsgrad=*/false,
                    /*maximize=*/false);
}

void peers(State s, double ours) {
  const at::NoGradGuard no_grad;
  double step = 0;
  const double one_pass = prefer::benchmark::best_seconds([&] { fused(s, ++step); });
  const double many = prefer::benchmark::best_seconds([&] { composite(s, ++step); });
  prefer::benchmark::report_peer("LibTorch, fused", one_pass, ours);
  prefer::benchmark::report_peer("LibTorch, operation by operation", many, ours);
}

bool run(std::int64_t size, double copy) {
  Memory<float> param(size), grad(size), m(size), v(size);
  Memory<bf16> shadow(size);
  prefer::benchmark::fill(param, 1);
  prefer::benchmark::fill(grad, 0.1);
  const double bytes = 28 * static_cast<double>(size);  // reads four floats, writes three
  double best = 1e30;
  prefer::benchmark::for_each_isa([&](Isa isa) {
    adamw::Step<float> step{.param = param.data(), .grad = grad.data(), .m = m.data(), .v = v.data()};
    step.size = size, step.learning_rate = kRate, step.weight_decay = kDecay, step.isa = isa;
    const auto update = [&] {
      adamw::cpu::forward(step);
      ++step.step;
    };
    best = std::min(best, prefer::benchmark::measure(name(isa), bytes, copy, update));
    step.copy = shadow.data();
    prefer::benchmark::measure(std::string(name(isa)) + " with bf16 copy",
                               bytes + 2 * static_cast<double>(size), copy, update);
  });
  const auto tensor = [&](Memory<float>& memory) { return at::from_blob(memory.data(), {size}, at::kFloat); };
  peers({tensor(param), tensor(grad), tensor(m), tensor(v)}, best);
  return prefer::benchmark::bar("share of the copy bandwidth", bytes / best / copy, 0.7);
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t size = argc > 1 ? std::atoll(argv[1]) : std::int64_t{32} << 20;
  const double copy = prefer::benchmark::copy_bandwidth();
  std::printf("limit: copy %.1f GB/s; %lld elements\n", copy / 1e9, static_cast<long long>(size));
  return run(size, copy) ? 0 : 1;
}
