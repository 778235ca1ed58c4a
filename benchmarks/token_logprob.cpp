// Speed of token_logprob's CPU twin beside the read bandwidth of the same run: token_logprob [rows] [vocab].
#include "kernels/token_logprob/token_logprob.hpp"

#include "support.hpp"

#include <string>
#include <vector>

namespace {

using namespace prefer::kernels;
using prefer::benchmark::Memory;

template <class T>
void run(const char* type, std::int64_t rows, std::int64_t vocab, double read, double copy) {
  Memory<T> logits(rows * vocab), grad(rows * vocab);
  for (std::int64_t i = 0; i < logits.size(); ++i)
    logits[i] = narrow<T>(static_cast<double>(i * 7919 % 2003) / 100 - 10);
  std::vector<std::int64_t> label(static_cast<std::size_t>(rows), vocab / 2), argmax(label);
  std::vector<float> logp(label.size()), lse(logp), entropy(logp), upstream(label.size(), 0.5f);
  const double bytes = static_cast<double>(rows * vocab) * sizeof(T);
  for (const Isa isa : {Isa::avx512, Isa::avx2, Isa::portable}) {
    if (!supported(isa)) continue;
    token_logprob::Forward<T> forward;
    forward.logits = logits.data(), forward.label = label.data();
    forward.rows = rows, forward.vocab = forward.stride = vocab;
    forward.logp = logp.data(), forward.lse = lse.data();
    forward.isa = isa;
    token_logprob::Backward<T> backward;
    backward.logits = logits.data(), backward.label = label.data();
    backward.rows = rows, backward.vocab = backward.stride = backward.grad_stride = vocab;
    backward.lse = lse.data(), backward.grad_logp = upstream.data(), backward.grad = grad.data();
    backward.isa = isa;
    const std::string name = std::string(type) + " " + prefer::kernels::name(isa);
    const auto forwards = [&] { token_logprob::cpu::forward(forward); };
    prefer::benchmark::report((name + " forward").c_str(), bytes,
                              prefer::benchmark::best_seconds(9, forwards), read);
    forward.entropy = entropy.data(), forward.argmax = argmax.data();
    prefer::benchmark::report((name + " forward, entropy, argmax").c_str(), bytes,
                              prefer::benchmark::best_seconds(9, forwards), read);
    const auto backwards = [&] { token_logprob::cpu::backward(backward); };
    prefer::benchmark::report((name + " backward").c_str(), 2 * bytes,
                              prefer::benchmark::best_seconds(9, backwards), copy);
  }
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 1024,
                     vocab = argc > 2 ? std::atoll(argv[2]) : 32000;
  const double read = prefer::benchmark::read_bandwidth(), copy = prefer::benchmark::copy_bandwidth();
  std::printf("limits: read %.1f GB/s, copy %.1f GB/s; logits [%lld, %lld]\n", read / 1e9, copy / 1e9,
              static_cast<long long>(rows), static_cast<long long>(vocab));
  run<float>("float", rows, vocab, read, copy);
  run<bf16>("bf16", rows, vocab, read, copy);
}
