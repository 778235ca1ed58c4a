// Speed of kl's CPU twin, of values alone and with their gradient, beside the bandwidth of the same run: kl
// [rows] [vocab].
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
  const std::vector<std::int64_t> label(static_cast<std::size_t>(rows), vocab / 2);
  std::vector<float> kl(label.size()), k1(kl), k2(kl), k3(kl), upstream(kl.size(), 0.5f);
  const double bytes = static_cast<double>(rows * vocab) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    kl::Divergence<T> args{
        .policy = policy.data(), .reference = reference.data(), .rows = rows, .vocab = vocab};
    args.policy_stride = args.reference_stride = args.grad_stride = vocab, args.isa = isa;
    args.kl = kl.data();
    const std::string name = type + " " + prefer::kernels::name(isa);
    const auto pass = [&] { kl::cpu::forward(args); };
    measure(name + " kl", 2 * bytes, read, pass);
    args.label = label.data(), args.k1 = k1.data(), args.k2 = k2.data(), args.k3 = k3.data();
    measure(name + " kl, k1, k2, k3", 2 * bytes, read, pass);
    args.grad = grad.data(), args.grad_kl = args.grad_k1 = args.grad_k2 = args.grad_k3 = upstream.data();
    measure(name + " kl, k1, k2, k3, gradient", 3 * bytes, copy, pass);
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
