// Reference and CPU twins of scan.
#include "kernels/scan/scan.hpp"

#include "kernels/scan/body.hpp"
#include "kernels/vector.hpp"

namespace prefer::kernels::scan {
namespace {

/// One sequence of everything that the scan reads and writes.
struct Stretch {
  const float* reward;
  const float* value;
  float* advantage;
  float* returns;
  std::int64_t size;
  float gamma;
  double decay;  // gamma lambda
};

}  // namespace

#define PREFER_KERNEL_BODY "kernels/scan/scan.inl"
#include "kernels/each_isa.inl"

namespace reference {

template <class T>
void forward(const Gae<T>& a) {
  check(a);
  check_begin(a);
  for (std::int64_t s = 0; s < a.sequences; ++s) {
    double advantage = 0, next_value = 0;
    for (std::int64_t t = a.begin[s + 1] - 1; t >= a.begin[s]; --t) {
      const double value = widen(a.value[t]);
      const double delta = widen(a.reward[t]) + a.gamma * next_value - value;
      advantage = delta + a.gamma * a.lambda * advantage;
      a.advantage[t] = narrow<T>(advantage);
      a.returns[t] = narrow<T>(advantage + value);
      next_value = value;
    }
  }
}

template void forward(const Gae<float>&);
template void forward(const Gae<double>&);

}  // namespace reference

namespace cpu {

template <class T>
void forward(const Gae<T>& a) {
  check(a);
  check_begin(a);
  const auto scan = choose(a.isa, portable::scan_sequence, avx2::scan_sequence, avx512::scan_sequence);
#pragma omp parallel for schedule(static) if (a.sequences > 64)
  for (std::int64_t s = 0; s < a.sequences; ++s) {
    const std::int64_t at = a.begin[s];
    scan({a.reward + at, a.value + at, a.advantage + at, a.returns + at, a.begin[s + 1] - at,
          static_cast<float>(a.gamma), a.gamma * a.lambda});
  }
}

template void forward(const Gae<float>&);

}  // namespace cpu
}  // namespace prefer::kernels::scan
