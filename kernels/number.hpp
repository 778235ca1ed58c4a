// The number types of the kernels, on the host and on the device: float, double and bf16, and how they widen.
#pragma once

#include <cstdint>
#include <cstring>

#ifdef __CUDACC__
#define PREFER_HOST_DEVICE __host__ __device__ __forceinline__
#else
#define PREFER_HOST_DEVICE inline
#endif

namespace prefer::kernels {

/// A bfloat16 as it lies in memory: the upper half of a float.
struct bf16 {
  std::uint16_t bits;
};

PREFER_HOST_DEVICE float widen(float x) { return x; }
PREFER_HOST_DEVICE double widen(double x) { return x; }
PREFER_HOST_DEVICE float widen(bf16 x) {
  const std::uint32_t bits = static_cast<std::uint32_t>(x.bits) << 16;
  float result;
  memcpy(&result, &bits, sizeof result);
  return result;
}

/// What a T is computed and summed in: float for float and bf16, double for double.
template <class T>
using Wide = decltype(widen(T{}));

/// Rounds to T, to nearest even; a NaN stays a (quiet) NaN.
template <class T>
PREFER_HOST_DEVICE T narrow(double x) {
  return static_cast<T>(x);
}
PREFER_HOST_DEVICE bf16 narrow_bf16(float x) {
  std::uint32_t bits;
  memcpy(&bits, &x, sizeof bits);
  if ((bits & 0x7fffffffu) > 0x7f800000u) return {static_cast<std::uint16_t>((bits >> 16) | 0x40u)};
  return {static_cast<std::uint16_t>((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16)};
}
template <>
PREFER_HOST_DEVICE bf16 narrow<bf16>(double x) {
  return narrow_bf16(static_cast<float>(x));
}

}  // namespace prefer::kernels
