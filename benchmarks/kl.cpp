// Speed of kl's CPU twin beside the read bandwidth of the same run: kl [rows] [vocab].
#include "kernels/kl/kl.hpp"

#include "support.hpp"

#include <vector>

namespace {

using namespace prefer::kernels;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

template <class T>
void run(const std::string& type, std::int64_t rows, std::int64_t vocab, double read, double copy) {
  Memory<T> policy(rows * vocab), reference(rows * vocab), grad(rows * vocab);
  prefer::benchmark::fill(policy, 10);
  prefer::benchmark::fill(reference, 11);
  std::vector<float> kl(static_cast<std::size_t>(rows)), policy_lse(kl), reference_lse(kl),
      upstream(kl.size(), 0.5f);
  const double bytes = static_cast<double>(rows * vocab) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    kl::Forward<T> forward{
        .policy = policy.data(), .reference = reference.data(), .rows = rows, .vocab = vocab};
    forward.policy_stride = forward.reference_stride = vocab, forward.isa = isa;
    forward.kl = kl.data(), forward.policy_lse = policy_lse.data(),
    forward.reference_lse = reference_lse.data();
    kl::Backward<T> backward{
        .policy = policy.data(), .reference = reference.data(), .rows = rows, .vocab = vocab};
    backward.policy_stride = backward.reference_stride = backward.grad_stride = vocab, backward.isa = isa;
    backward.kl = kl.data(), backward.policy_lse = policy_lse.data(),
    backward.reference_lse = reference_lse.data();
    backward.grad_kl = upstream.data(), backward.grad = grad.data();
    const std::string name = type + " " + prefer::kernels::name(isa);
    measure(name + " forward", 2 * bytes, read, [&] { kl::cpu::forward(forward); });
    measure(name + " backward", 3 * bytes, copy, [&] { kl::cpu::backward(backward); });
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 512,
                     vocab = argc > 2 ? std::atoll(argv[2]) : 32000;
  const double read = prefer::benchmark::read_bandwidth(), copy = prefer::benchmark::copy_bandwidth();
  std::printf("limits: read %.1f GB/s, copy %.1f GB/s; logits 2 x [%lld, %lld]\n", read / 1e9, copy / 1e9,
              static_cast<long long>(rows), static_cast<long long>(vocab));
  run<float>("float", rows, vocab, read, copy);
  run<bf16>("bf16", rows, vocab, read, copy);
}
