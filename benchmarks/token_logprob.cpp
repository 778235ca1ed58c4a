// Speed of token_logprob's CPU twin beside the read bandwidth and LibTorch's log_softmax + gather of the same
// run: token_logprob [rows] [vocab].
#include "kernels/token_logprob/token_logprob.hpp"

#include "prefer/tensor.hpp"
#include "support.hpp"

#include <ATen/ops/gather.h>

#include <functional>
#include <utility>
#include <vector>

namespace {

using namespace prefer::kernels;
using prefer::Tensor;
using prefer::benchmark::measure;
using prefer::benchmark::Memory;

struct Limits {
  double read, copy;
};

/// By turns: reading memory, ours, and the label's log-probability as LibTorch gives it, with its own
/// allocator, which takes fresh memory for a result of this size, and into memory that is there already.
/// Whether the bars of float32 are met, which are meant for [1024, 32000].
bool by_turns(const std::string& type, const Tensor& logits, const std::vector<std::int64_t>& label,
              const std::function<void()>& ours) {
  const at::NoGradGuard no_grad;
  const Tensor index = prefer::tensor_of(label, at::kLong).unsqueeze(1);  // [rows, 1]
  Tensor all = at::empty_like(logits), one = at::empty(index.sizes(), logits.options());
  prefer::benchmark::Reader read;
  const std::vector<double> seconds = prefer::benchmark::median_seconds(
      21, {std::ref(read), ours, [&] { at::log_softmax(logits, 1).gather(1, index); },
           [&] {
             at::log_softmax_out(all, logits, 1);
             at::gather_out(one, all, 1, index);
           }});
  prefer::benchmark::report(type + " forward, by turns with reading", static_cast<double>(logits.nbytes()),
                            seconds[1], read.bytes() / seconds[0]);
  prefer::benchmark::report_peer(type + " LibTorch, as shipped, by turns", seconds[2], seconds[1]);
  prefer::benchmark::report_peer(type + " LibTorch, into warm memory, by turns", seconds[3], seconds[1]);
  if (logits.scalar_type() != at::kFloat) return true;
  using prefer::benchmark::bar;
  const double share = static_cast<double>(logits.nbytes()) / seconds[1] / (read.bytes() / seconds[0]);
  const bool enough = bar("share of the read bandwidth", share, 0.7),
             shipped = bar("LibTorch's time as shipped, of ours", seconds[2] / seconds[1], 10),
             warm = bar("LibTorch's time into warm memory, of ours", seconds[3] / seconds[1], 2.5);
  return enough && shipped && warm;
}

template <class T>
bool run(const std::string& type, std::int64_t rows, std::int64_t vocab, const Limits& limits) {
  Memory<T> logits(rows * vocab), grad(rows * vocab);
  prefer::benchmark::fill(logits, 10);
  std::vector<std::int64_t> label(static_cast<std::size_t>(rows), vocab / 2), argmax(label);
  std::vector<float> logp(label.size()), lse(logp), entropy(logp), upstream(label.size(), 0.5f);
  const double bytes = static_cast<double>(rows * vocab) * sizeof(T);
  bool widest = true, met = true;
  prefer::benchmark::for_each_isa([&](Isa isa) {
    token_logprob::Forward<T> forward{
        .logits = logits.data(), .label = label.data(), .rows = rows, .vocab = vocab};
    forward.stride = vocab, forward.logp = logp.data(), forward.lse = lse.data(), forward.isa = isa;
    token_logprob::Backward<T> backward{
        .logits = logits.data(), .label = label.data(), .rows = rows, .vocab = vocab};
    backward.stride = backward.grad_stride = vocab, backward.isa = isa;
    backward.lse = lse.data(), backward.grad_logp = upstream.data(), backward.grad = grad.data();
    const std::string name = type + " " + prefer::kernels::name(isa);
    const auto forwards = [&] { token_logprob::cpu::forward(forward); };
    measure(name + " forward", bytes, limits.read, forwards);
    if (std::exchange(widest, false)) {
      const at::TensorOptions number(sizeof(T) == 2 ? at::kBFloat16 : at::kFloat);
      met = by_turns(type, at::from_blob(logits.data(), {rows, vocab}, number), label, forwards);
    }
    forward.entropy = entropy.data(), forward.argmax = argmax.data();
    measure(name + " forward, entropy, argmax", bytes, limits.read, forwards);
    measure(name + " backward", 2 * bytes, limits.copy, [&] { token_logprob::cpu::backward(backward); });
  });
  return met;
}

}  // namespace

int main(int argc, char** argv) {
  const std::int64_t rows = argc > 1 ? std::atoll(argv[1]) : 1024,
                     vocab = argc > 2 ? std::atoll(argv[2]) : 32000;
  const Limits limits{prefer::benchmark::read_bandwidth(), prefer::benchmark::copy_bandwidth()};
  std::printf("limits: read %.1f GB/s, copy %.1f GB/s; logits [%lld, %lld]\n", limits.read / 1e9,
              limits.copy / 1e9, static_cast<long long>(rows), static_cast<long long>(vocab));
  const bool met = run<float>("float", rows, vocab, limits);
  run<bf16>("bf16", rows, vocab, limits);
  return met ? 0 : 1;
}
