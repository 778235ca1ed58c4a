// Speed of sample's CPU twin beside the read bandwidth of the same run, counting one read of the logits:
// sample [rows] [vocab].
#include "kernels/sample/sample.hpp"

#include "support.hpp"

#include <vector>

namespace {

using namespace prefer::kernels;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

template <class T>
void run(const std::string& type, std::int64_t rows, std::int64_t vocab, double read) {
  Memory<T> logits(rows * vocab);
  prefer::benchmark::fill(logits, 10);
  std::vector<double> uniform(static_cast<std::size_t>(rows), 0.6);
  std::vector<std::int64_t> token(uniform.size());
  std::vector<float> logp(uniform.size());
  const double bytes = static_cast<double>(rows * vocab) * sizeof(T);
  prefer::benchmark::for_each_isa([&](Isa isa) {
    sample::Forward<T> args{.logits = logits.data(), .rows = rows, .vocab = vocab, .stride = vocab};
    args.uniform = uniform.data(), args.token = token.data(), args.logp = logp.data(), args.isa = isa;
    const std::string name = type + " " + prefer::kernels::name(isa);
    const auto draw = [&] { sample::cpu::forward(args); };
    args.temperature = 0;
    measure(name + " greedy", bytes, read, draw);
    args.temperature = 0.8;
    measure(name + " temperature", bytes, read, draw);
    args.top_k = 50, args.top_p = 0.9;
    measure(name + " temperature, top_k, top_p", bytes, read, draw);
  });
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 256,
                     vocab = argc > 2 ? std::atoll(argv[2]) : 49152;
  const double read = prefer::benchmark::read_bandwidth();
  std::printf("limit: read %.1f GB/s; logits [%lld, %lld]\n", read / 1e9, static_cast<long long>(rows),
              static_cast<long long>(vocab));
  run<float>("float", rows, vocab, read);
  run<bf16>("bf16", rows, vocab, read);
}
