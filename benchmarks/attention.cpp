// attention: GFLOP/s of forward and backward, and GB/s of decoding, beside what the machine can do in the
// same run. Usage: attention [threads]. A row names the case, the type, the instruction set, and the best of
// several repeats.
#include "kernels/attention/attention.hpp"

#include "kernels/vector.hpp"
#include "support.hpp"
#include "tests/kernels/attention_cases.hpp"

#include <omp.h>

namespace prefer::kernels {
#define PREFER_KERNEL_BODY "benchmarks/limits.inl"
#include "kernels/each_isa.inl"

namespace attention {
namespace {

constexpr Sizes kSmolLm2{9, 3, 64, 0};

/// Products that the visible half of the score matrix asks for: q k and p v.
double flops(const Plan& plan, const Sizes& sizes) {
  double seen = 0;
  for (const Run& run : plan.runs) {
    for (std::int64_t i = 0; i < run.query_count; ++i)
      seen += static_cast<double>(run.first_position + i + 1);
  }
  return 4 * seen * static_cast<double>(sizes.heads * sizes.dim);
}

template <class T>
void training(const char* name_of_case, const char* type, const std::vector<Segment>& forest, Isa isa) {
  const Plan plan = plan_of(forest);
  Problem<T> problem(plan.tokens, kSmolLm2, 1);
  auto forward = problem.forward(plan);
  auto backward = problem.backward(plan);
  forward.isa = backward.isa = isa;
  const double work = flops(plan, kSmolLm2);
  const double f = benchmark::best_seconds([&] { cpu::forward(forward); });
  const double b = benchmark::best_seconds([&] { cpu::backward(backward); });
  std::printf("%-28s %-5s %-9s forward %7.2f ms %6.1f GFLOP/s   backward %7.2f ms %6.1f GFLOP/s\n",
              name_of_case, type, name(isa), 1e3 * f, 1e-9 * work / f, 1e3 * b, 2.5e-9 * work / b);
}

/// `sequences` runs of one query, each with `keys` keys in pages of 64 rows that lie scattered in the cache.
template <class T>
void decoding(const char* type, std::int64_t sequences, std::int64_t keys, Isa isa) {
  Plan plan;
  for (std::int64_t s = 0; s < sequences; ++s) {
    const std::int64_t first = static_cast<std::int64_t>(plan.spans.size());
    for (std::int64_t at = 0; at < keys; at += 64) {
      const std::int64_t count = std::min<std::int64_t>(64, keys - at);
      plan.spans.push_back({at * sequences + s * count, count});
    }
    plan.runs.push_back({s, 1, keys - 1, first, static_cast<std::int64_t>(plan.spans.size())});
  }
  Problem<T> queries(sequences, kSmolLm2, 1);
  const std::int64_t width = kSmolLm2.kv_heads * kSmolLm2.dim;
  const std::vector<T> cache(static_cast<std::size_t>(2 * sequences * keys * width), narrow<T>(0.1));
  auto forward = queries.forward(plan);
  forward.isa = isa;
  forward.key_rows = sequences * keys;
  forward.k = {cache.data(), width};
  forward.v = {cache.data() + sequences * keys * width, width};
  const double t = benchmark::best_seconds([&] { cpu::forward(forward); });
  const double bytes = static_cast<double>(cache.size() * sizeof(T));
  std::printf("decode %4lld x %4lld keys        %-5s %-9s %7.3f ms %6.1f GFLOP/s %6.1f GB/s of cache\n",
              static_cast<long long>(sequences), static_cast<long long>(keys), type, name(isa), 1e3 * t,
              1e-9 * flops(plan, kSmolLm2) / t, 1e-9 * bytes / t);
}

void limits(Isa isa, double read) {
  const auto products = choose(isa, portable::products, avx2::products, avx512::products);
  const double lanes = isa == Isa::avx512 ? 16 : isa == Isa::avx2 ? 8 : 4;
  constexpr std::int64_t kRounds = 2000000;
  const int threads = omp_get_max_threads();
  volatile float sink = 0;
  const double t = benchmark::best_seconds([&] {
#pragma omp parallel
    sink = products(kRounds);
  });
  std::printf("limit                        %-9s %6.1f GFLOP/s from registers, %.1f GB/s read, %d threads\n",
              name(isa), 1e-9 * threads * 24 * lanes * kRounds / t, 1e-9 * read, threads);
}

/// Four pairs: prompts of 180 tokens, answers of 100 and 130.
std::vector<Segment> pairs() {
  std::vector<Segment> forest;
  for (std::int64_t n = 0; n < 4; ++n) forest.insert(forest.end(), {{180, -1}, {100, 3 * n}, {130, 3 * n}});
  return forest;
}

void run(Isa isa, double read) {
  limits(isa, read);
  training<float>("one sequence of 512", "fp32", {{512, -1}}, isa);
  training<float>("one sequence of 2000", "fp32", {{2000, -1}}, isa);
  training<float>("4 pairs of 180 + 100, 130", "fp32", pairs(), isa);
  training<bf16>("one sequence of 2000", "bf16", {{2000, -1}}, isa);
  training<bf16>("4 pairs of 180 + 100, 130", "bf16", pairs(), isa);
  for (const std::int64_t keys : {100, 500}) {
    for (const std::int64_t sequences : {32, 256}) {
      decoding<float>("fp32", sequences, keys, isa);
      decoding<bf16>("bf16", sequences, keys, isa);
    }
  }
}

}  // namespace
}  // namespace attention
}  // namespace prefer::kernels

int main(int argc, char** argv) {
  if (argc > 1) omp_set_num_threads(std::atoi(argv[1]));
  const double read = prefer::benchmark::read_bandwidth();
  prefer::benchmark::for_each_isa(
      [&](prefer::kernels::Isa isa) { prefer::kernels::attention::run(isa, read); });
}
