// What the tests of the kernels share: keyed numbers, the instruction sets of this machine, and simulated
// groups.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/philox.hpp"

#include <omp.h>

#include <barrier>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstring>
#include <numbers>
#include <thread>
#include <type_traits>
#include <vector>

namespace prefer::testing {

using kernels::bf16;
using kernels::Isa;
using kernels::narrow;
using kernels::Wide;
using kernels::widen;

template <class T>
constexpr const char* type_name() {
  return std::is_same_v<T, double> ? "double" : std::is_same_v<T, float> ? "float" : "bf16";
}

/// In (0, 1), keyed by seed and position.
inline double uniform_at(std::uint32_t seed, std::uint64_t position) {
  const auto r = kernels::philox(
      {{static_cast<std::uint32_t>(position), static_cast<std::uint32_t>(position >> 32), 0, 0}},
      {{seed, 0}});
  return (static_cast<double>((std::uint64_t{r[0]} << 21) | (r[1] >> 11)) + 0.5) * 0x1p-53;
}

/// `count` normal numbers times `scale`, rounded to T.
template <class T>
std::vector<T> normals(std::int64_t count, std::uint32_t seed, double scale = 1) {
  std::vector<T> result;
  for (std::int64_t i = 0; i < count; ++i) {
    const double radius = std::sqrt(-2 * std::log(uniform_at(seed, static_cast<std::uint64_t>(2 * i))));
    const double angle = 2 * std::numbers::pi * uniform_at(seed, static_cast<std::uint64_t>(2 * i + 1));
    result.push_back(narrow<T>(scale * radius * std::cos(angle)));
  }
  return result;
}

/// The same numbers in another type.
template <class To, class From>
std::vector<To> converted(const std::vector<From>& from) {
  std::vector<To> result;
  for (const From& x : from) result.push_back(narrow<To>(widen(x)));
  return result;
}

/// The instruction sets of this machine. One that it lacks is named, once, as not tested.
inline const std::vector<Isa>& isas() {
  static const std::vector<Isa> here = [] {
    std::vector<Isa> result;
    for (const Isa isa : {Isa::portable, Isa::avx2, Isa::avx512}) {
      if (kernels::supported(isa)) {
        result.push_back(isa);
      } else {
        std::fprintf(stderr, "not tested, as this CPU has no %s: the kernels for it\n", kernels::name(isa));
      }
    }
    return result;
  }();
  return here;
}

/// (f() with x + step - f() with x - step) / (2 step); `f` reads x, which is put back.
template <class F>
double slope(F f, double& x, double step = 1e-6) {
  const double kept = x;
  x = kept + step;
  const double above = f();
  x = kept - step;
  const double below = f();
  x = kept;
  return (above - below) / (2 * step);
}

template <class T>
bool same_bits(const std::vector<T>& a, const std::vector<T>& b) {
  return a.size() == b.size() && (a.empty() || std::memcmp(a.data(), b.data(), a.size() * sizeof(T)) == 0);
}

/// Runs f with so many OpenMP threads.
template <class F>
void with_threads(int count, F f) {
  const int before = omp_get_max_threads();
  omp_set_num_threads(count);
  f();
  omp_set_num_threads(before);
}

/// A group of real threads in the place of a CUDA block.
class ThreadGroup {
 public:
  template <class F>
  static void run(int size, F f) {
    std::barrier<> barrier(size);
    std::vector<Slot> slots(static_cast<std::size_t>(size));
    std::vector<std::thread> threads;
    for (int rank = 0; rank < size; ++rank) {
      threads.emplace_back([&, rank] { f(ThreadGroup(rank, size, barrier, slots)); });
    }
    for (std::thread& thread : threads) thread.join();
  }

  int rank() const { return rank_; }
  int size() const { return size_; }

  template <class Value, class Merge>
  Value reduce(Value value, Merge merge) const {
    static_assert(sizeof(Value) <= sizeof(Slot) && std::is_trivially_copyable_v<Value>);
    std::memcpy(&slots_[static_cast<std::size_t>(rank_)], &value, sizeof value);
    barrier_.arrive_and_wait();
    Value result;
    std::memcpy(static_cast<void*>(&result), &slots_[0], sizeof result);
    for (int i = 1; i < size_; ++i) {
      std::memcpy(static_cast<void*>(&value), &slots_[static_cast<std::size_t>(i)], sizeof value);
      result = merge(result, value);
    }
    barrier_.arrive_and_wait();
    return result;
  }

  template <class Value, class Merge>
  Value after(Value value, Value none, Merge merge) const {
    static_assert(sizeof(Value) <= sizeof(Slot) && std::is_trivially_copyable_v<Value>);
    std::memcpy(&slots_[static_cast<std::size_t>(rank_)], &value, sizeof value);
    barrier_.arrive_and_wait();
    Value result = none;
    for (int i = size_ - 1; i > rank_; --i) {
      std::memcpy(static_cast<void*>(&value), &slots_[static_cast<std::size_t>(i)], sizeof value);
      result = merge(value, result);
    }
    barrier_.arrive_and_wait();
    return result;
  }

 private:
  struct Slot {
    unsigned char bytes[64];
  };
  ThreadGroup(int rank, int size, std::barrier<>& barrier, std::vector<Slot>& slots)
      : rank_(rank), size_(size), barrier_(barrier), slots_(slots) {}
  int rank_, size_;
  std::barrier<>& barrier_;
  std::vector<Slot>& slots_;
};

}  // namespace prefer::testing
