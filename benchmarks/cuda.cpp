// Speed of the CUDA twins beside a copy on the same device in the same run: one program without LibTorch, to
// be carried to a machine with a GPU. It says so and ends where there is none. peers/cuda.py reads these
// lines and times torch on the same shapes.
#include "kernels/adamw/adamw.hpp"
#include "kernels/kl/kl.hpp"
#include "kernels/norm/norm.hpp"
#include "kernels/rope/rope.hpp"
#include "kernels/sample/sample.hpp"
#include "kernels/scan/scan.hpp"
#include "kernels/swiglu/swiglu.hpp"
#include "kernels/token_logprob/token_logprob.hpp"
#include "tests/kernels/attention_cases.hpp"

#include <cuda_runtime_api.h>

#include <cstdio>
#include <string>

namespace {

using namespace prefer::kernels;

void check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(cudaGetErrorString(status));
}

/// `count` elements on the device that hold the same values again and again.
template <class T>
class Memory {
 public:
  explicit Memory(std::int64_t count, double scale = 1) {
    const auto size = static_cast<std::size_t>(count) * sizeof(T);
    std::vector<T> values;
    for (std::int64_t i = 0; i < std::min<std::int64_t>(count, 1 << 20); ++i) {
      const double x = scale * (static_cast<double>(i * 7919 % 2003) / 1001.5 - 1);
      if constexpr (std::is_same_v<T, std::int64_t>) {
        values.push_back(i % 101);
      } else {
        values.push_back(narrow<T>(x));
      }
    }
    check(cudaMalloc(&data_, size));
    std::size_t filled = values.size() * sizeof(T);
    check(cudaMemcpy(data_, values.data(), filled, cudaMemcpyHostToDevice));
    for (std::size_t more; filled < size; filled += more) {
      more = std::min(filled, size - filled);
      check(cudaMemcpy(static_cast<char*>(data_) + filled, data_, more, cudaMemcpyDeviceToDevice));
    }
  }
  ~Memory() { cudaFree(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T* data() const { return static_cast<T*>(data_); }

 private:
  void* data_ = nullptr;
};

/// The shortest of several launches, in seconds.
template <class Launch>
double best_seconds(Launch launch) {
  cudaEvent_t begin, end;
  check(cudaEventCreate(&begin));
  check(cudaEventCreate(&end));
  float best = 1e30f;
  for (int i = 0; i < 20; ++i) {
    check(cudaEventRecord(begin));
    launch();
    check(cudaEventRecord(end));
    check(cudaEventSynchronize(end));
    float milliseconds = 0;
    check(cudaEventElapsedTime(&milliseconds, begin, end));
    best = std::min(best, milliseconds);
  }
  check(cudaEventDestroy(begin));
  check(cudaEventDestroy(end));
  return 1e-3 * best;
}

double copy_limit = 1;  // bytes read and written a second

template <class T, class Launch>
void report(const char* what, double elements, Launch launch) {
  const double seconds = best_seconds(launch), rate = elements * sizeof(T) / seconds;
  std::printf("%-28s %-5s %9.4f ms %8.1f GB/s %4.0f %% of the limit\n", what,
              sizeof(T) == 2 ? "bf16" : "fp32", 1e3 * seconds, 1e-9 * rate, 100 * rate / copy_limit);
}

template <class T>
void logits(std::int64_t rows, std::int64_t vocab) {
  const Memory<T> x(rows * vocab, 5), grad(rows * vocab, 5);  // `grad` holds logits, which it overwrites
  const Memory<float> logp(rows), lse(rows), upstream(rows);
  const Memory<std::int64_t> label(rows), token(rows);
  const Memory<double> uniform(rows);
  token_logprob::Forward<T> forward{.logits = x.data(), .label = label.data(), .rows = rows, .vocab = vocab};
  forward.stride = vocab, forward.logp = logp.data(), forward.lse = lse.data();
  token_logprob::Backward<T> backward{
      .logits = grad.data(), .label = label.data(), .rows = rows, .vocab = vocab};
  backward.stride = backward.grad_stride = vocab, backward.lse = lse.data();
  backward.grad_logp = upstream.data(), backward.grad = grad.data();
  sample::Forward<T> draw{.logits = x.data(), .rows = rows, .vocab = vocab, .stride = vocab};
  draw.uniform = uniform.data(), draw.token = token.data(), draw.logp = logp.data();
  const double size = static_cast<double>(rows * vocab);
  report<T>("token_logprob", size, [&] { token_logprob::cuda::forward(forward); });
  report<T>("token_logprob backward", 2 * size, [&] { token_logprob::cuda::backward(backward); });
  token_logprob::Forward<T> before = forward;
  before.logits = grad.data();
  report<T>("token_logprob with gradient", 3 * size, [&] {
    token_logprob::cuda::forward(before);
    token_logprob::cuda::backward(backward);
  });
  report<T>("sample", size, [&] { sample::cuda::forward(draw); });
  const Memory<T> other(rows * vocab, 4);
  const Memory<float> kl(rows), k1(rows), k2(rows), k3(rows);
  kl::Divergence<T> apart{.policy = x.data(), .reference = other.data(), .rows = rows, .vocab = vocab};
  apart.policy_stride = apart.reference_stride = apart.grad_stride = vocab, apart.kl = kl.data();
  report<T>("kl", 2 * size, [&] { kl::cuda::forward(apart); });
  apart.label = label.data(), apart.k1 = k1.data(), apart.k2 = k2.data(), apart.k3 = k3.data();
  report<T>("kl, k1, k2, k3", 2 * size, [&] { kl::cuda::forward(apart); });
  apart.grad = grad.data(), apart.grad_kl = apart.grad_k1 = apart.grad_k2 = apart.grad_k3 = upstream.data();
  report<T>("kl, k1, k2, k3, gradient", 3 * size, [&] { kl::cuda::forward(apart); });
  draw.top_k = 50, draw.top_p = 0.9;
  report<T>("sample top_k top_p", size, [&] { sample::cuda::forward(draw); });
}

template <class T>
void rows_of(std::int64_t rows, std::int64_t width) {
  const std::int64_t count = rows * width;
  const double size = static_cast<double>(count);
  const Memory<T> a(count), b(count), c(count), d(count), weight(width), gate_up(2 * count);
  const Memory<float> rstd(rows), dweight(width), cosines(101 * 32), sines(101 * 32);
  const Memory<std::int64_t> position(rows);
  norm::Forward<T> normed{.x = a.data(), .residual = b.data(), .weight = weight.data(), .rows = rows};
  normed.width = normed.x_stride = width, normed.sum = c.data(), normed.y = d.data(),
  normed.rstd = rstd.data();
  report<T>("norm with residual", 4 * size, [&] { norm::cuda::forward(normed); });
  norm::Backward<T> back{.x = a.data(), .weight = weight.data(), .rstd = rstd.data(), .dy = b.data()};
  back.rows = rows, back.width = back.x_stride = width, back.dx = c.data(), back.dweight = dweight.data();
  report<T>("norm backward", 3 * size, [&] { norm::cuda::backward(back); });
  swiglu::Forward<T> act{.gate = gate_up.data(), .up = gate_up.data() + width, .rows = rows, .width = width};
  act.gate_stride = act.up_stride = 2 * width, act.h = c.data();
  report<T>("swiglu", 3 * size, [&] { swiglu::cuda::forward(act); });
  rope::Forward<T> turn{.x = a.data(), .rows = rows, .heads = width / 64, .dim = 64, .x_stride = width};
  turn.position = position.data(), turn.cos = cosines.data(), turn.sin = sines.data(), turn.positions = 101;
  turn.y = c.data(), turn.y_stride = width;
  report<T>("rope", 2 * size, [&] { rope::cuda::forward(turn); });
}

void advantages(std::int64_t sequences, std::int64_t tokens) {
  const std::int64_t size = sequences * tokens;
  const Memory<float> reward(size), value(size), advantage(size), returns(size);
  std::vector<std::int64_t> host;
  for (std::int64_t s = 0; s <= sequences; ++s) host.push_back(s * tokens);
  const Memory<std::int64_t> begin(sequences + 1);
  check(cudaMemcpy(begin.data(), host.data(), host.size() * sizeof host[0], cudaMemcpyHostToDevice));
  scan::Gae<float> gae{.reward = reward.data(), .value = value.data(), .begin = begin.data()};
  gae.sequences = sequences, gae.advantage = advantage.data(), gae.returns = returns.data();
  report<float>("scan", 4 * static_cast<double>(size), [&] { scan::cuda::forward(gae); });
}

void optimizer(std::int64_t size) {
  const Memory<float> param(size), grad(size), m(size), v(size);
  const Memory<bf16> copy(size);
  adamw::Step<float> step{.param = param.data(), .grad = grad.data(), .m = m.data(), .v = v.data()};
  step.size = size, step.learning_rate = 1e-4;
  report<float>("adamw", 7 * static_cast<double>(size), [&] { adamw::cuda::forward(step); });
  step.copy = copy.data();
  report<float>("adamw with bf16 copy", 7.5 * static_cast<double>(size), [&] { adamw::cuda::forward(step); });
}

template <class T>
void attend(std::int64_t length) {
  const auto plan = attention::plan_of({{length, -1}, {length, -1}, {length, -1}, {length, -1}});
  const attention::Sizes sizes{9, 3, 64, 0};
  attention::Problem<T> host(1, sizes, 1);
  host.rows = plan.tokens;
  const Memory<T> fused(plan.tokens * host.width), gradient(plan.tokens * host.width);
  const Memory<T> out(plan.tokens * 9 * 64), dout(plan.tokens * 9 * 64);
  const Memory<float> lse(plan.tokens * 9);
  auto forward = host.forward(plan);
  forward.q.data = fused.data(), forward.k.data = fused.data() + 9 * 64,
  forward.v.data = fused.data() + 12 * 64;
  forward.out.data = out.data(), forward.lse = lse.data();
  auto backward = host.backward(plan);
  backward.q = forward.q, backward.k = forward.k, backward.v = forward.v;
  backward.out.data = out.data(), backward.lse = lse.data(), backward.dout.data = dout.data();
  backward.dq.data = gradient.data(), backward.dk.data = gradient.data() + 9 * 64;
  backward.dv.data = gradient.data() + 12 * 64;
  const double products = 4.0 * 9 * 64 * 4 * static_cast<double>(length * (length + 1) / 2);
  const auto tell = [&](const char* what, double work, double seconds) {
    std::printf("%-28s %-5s %9.4f ms %8.1f TFLOP/s, 4 sequences of %lld\n", what,
                sizeof(T) == 2 ? "bf16" : "fp32", 1e3 * seconds, 1e-12 * work / seconds,
                static_cast<long long>(length));
  };
  tell("attention", products, best_seconds([&] { attention::cuda::forward(forward); }));
  tell("attention backward", 2.5 * products, best_seconds([&] { attention::cuda::backward(backward); }));
}

template <class T>
void run() {
  logits<T>(4096, 49152);
  rows_of<T>(16384, 2048);
  attend<T>(1024);
}

}  // namespace

int main() {
  cudaDeviceProp device;
  const cudaError_t status = cudaGetDeviceProperties(&device, 0);
  if (status != cudaSuccess) {
    std::printf("bench_cuda: no GPU here (%s): nothing was run\n", cudaGetErrorString(status));
    return 77;  // as the tests of a GPU do
  }
  const std::int64_t size = std::int64_t{64} << 20;
  const Memory<float> from(size), to(size);
  const auto copy = [&] {
    check(cudaMemcpyAsync(to.data(), from.data(), static_cast<std::size_t>(size) * 4,
                          cudaMemcpyDeviceToDevice));
  };
  copy_limit = 8 * static_cast<double>(size) / best_seconds(copy);
  std::printf("%s; limit: copy %.1f GB/s\n", device.name, 1e-9 * copy_limit);
  run<float>();
  run<bf16>();
  advantages(16384, 512);
  optimizer(std::int64_t{64} << 20);
}
