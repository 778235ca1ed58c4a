// What the benchmarks share: best-of-N timing, memory without page faults, and the machine's own limits to
// hold figures against, measured in the same run.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <sys/mman.h>

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

namespace prefer::benchmark {

/// The shortest of `rounds` runs, in seconds: what is left when nothing else wanted the machine.
template <class F>
double best_seconds(int rounds, F f) {
  double best = 1e30;
  for (int i = 0; i < rounds; ++i) {
    const auto begin = std::chrono::steady_clock::now();
    f();
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  return best;
}

/// The best within about 0.4 seconds, at least three times: neighbours on a shared machine come and go.
template <class F>
double best_seconds(F f) {
  const double once = best_seconds(1, f);
  return best_seconds(std::clamp(static_cast<int>(0.4 / once), 3, 200), f);
}

/// The median seconds of each of `works`, which take turns: where neighbours come and go, what is compared
/// has to see the same ones.
inline std::vector<double> median_seconds(int rounds, const std::vector<std::function<void()>>& works) {
  std::vector<std::vector<double>> seconds(works.size());
  for (int i = 0; i < rounds; ++i) {
    for (std::size_t k = 0; k < works.size(); ++k) seconds[k].push_back(best_seconds(1, works[k]));
  }
  std::vector<double> medians;
  for (std::vector<double>& all : seconds) {
    std::nth_element(all.begin(), all.begin() + rounds / 2, all.end());
    medians.push_back(all[static_cast<std::size_t>(rounds) / 2]);
  }
  return medians;
}

/// `count` elements in huge pages where the system gives them, touched.
template <class T>
class Memory {
 public:
  explicit Memory(std::int64_t count) : count_(count) {
    const std::size_t page = std::size_t{2} << 20;
    const std::size_t bytes = (static_cast<std::size_t>(count) * sizeof(T) + page - 1) / page * page;
    data_ = static_cast<T*>(std::aligned_alloc(page, bytes));
    madvise(data_, bytes, MADV_HUGEPAGE);
    std::memset(static_cast<void*>(data_), 0, bytes);
  }
  ~Memory() { std::free(data_); }
  Memory(const Memory&) = delete;
  Memory& operator=(const Memory&) = delete;
  T* data() { return data_; }
  T& operator[](std::int64_t i) { return data_[i]; }
  std::int64_t size() const { return count_; }

 private:
  T* data_;
  std::int64_t count_;
};

/// Numbers of T that differ from one to the next, within `scale` of 0.
template <class T>
void fill(Memory<T>& memory, double scale) {
  for (std::int64_t i = 0; i < memory.size(); ++i)
    memory[i] = kernels::narrow<T>(scale * (static_cast<double>(i * 7919 % 2003) / 1001.5 - 1));
}

/// Calls f with each instruction set of this machine, the widest first.
template <class F>
void for_each_isa(F f) {
  for (const kernels::Isa isa : {kernels::Isa::avx512, kernels::Isa::avx2, kernels::Isa::portable}) {
    if (kernels::supported(isa)) f(isa);
  }
}

/// Reads 256 MiB with all threads; asked for ahead, since the caches' own foresight ends with a page.
class Reader {
 public:
  double bytes() const { return static_cast<double>(memory_.size()) * sizeof(Pair); }

  void operator()() {
    constexpr std::int64_t kPage = 4096 / sizeof(Pair);
    std::uint64_t sum = 0;
#pragma omp parallel reduction(+ : sum)
    {
      Pair a{}, b{}, c{}, d{};
#pragma omp for schedule(static)
      for (std::int64_t i = 0; i < memory_.size() / 8; ++i) {
        const Pair* p = memory_.data() + 8 * i;
        for (const Pair* line : {p, p + 4}) {
          __builtin_prefetch(line + kPage);
          __builtin_prefetch(line + 3 * kPage, 0, 2);
        }
        a += p[0] + p[4], b += p[1] + p[5], c += p[2] + p[6], d += p[3] + p[7];
      }
      a += b + c + d;
      sum += a[0] + a[1];
    }
    if (sum != 0) std::printf("\n");  // keeps the sum alive: the memory holds zeros
  }

 private:
  typedef std::uint64_t Pair __attribute__((vector_size(16)));
  Memory<Pair> memory_{std::int64_t{16} << 20};
};

/// Bytes a second, of all threads together.
inline double read_bandwidth() {
  Reader read;
  return read.bytes() / best_seconds(std::ref(read));
}

/// Bytes read and written a second, of all threads together, over 128 MiB to 128 MiB.
inline double copy_bandwidth() {
  constexpr std::int64_t kStretch = std::int64_t{1} << 20;
  Memory<char> from(std::int64_t{128} << 20), to(std::int64_t{128} << 20);
  const double seconds = best_seconds([&] {
#pragma omp parallel for schedule(static)
    for (std::int64_t i = 0; i < from.size(); i += kStretch)
      std::memcpy(to.data() + i, from.data() + i, kStretch);
  });
  return 2 * static_cast<double>(from.size()) / seconds;
}

/// One line: what moved how fast, and what part of the limit that is.
inline void report(const std::string& what, double bytes, double seconds, double limit) {
  std::printf("%-44s %8.3f ms %7.1f GB/s %4.0f %% of the limit\n", what.c_str(), seconds * 1e3,
              bytes / seconds / 1e9, 100 * bytes / seconds / limit);
}

/// Times `run` and reports it.
template <class Run>
double measure(const std::string& what, double bytes, double limit, Run run) {
  const double seconds = best_seconds(run);
  report(what, bytes, seconds, limit);
  return seconds;
}

/// One line: a peer's time, and how many times ours it is.
inline void report_peer(const std::string& what, double seconds, double ours) {
  std::printf("%-44s %8.3f ms %7.1f times ours\n", what.c_str(), seconds * 1e3, seconds / ours);
}

/// One line: whether a figure is what it is meant to be at least. A benchmark ends with 1 where one is not.
inline bool bar(const std::string& what, double figure, double least) {
  const bool met = figure >= least;
  std::printf("bar: %-60s %6.2f, at least %.2f wanted: %s\n", what.c_str(), figure, least,
              met ? "met" : "MISSED");
  return met;
}

}  // namespace prefer::benchmark
