// The instruction sets that the CPU kernels are compiled for, and which of them this machine can run.
#pragma once

#include <stdexcept>
#include <string>

namespace prefer::kernels {

/// Ordered: each contains the ones before it. `avx512` asks for F, BW, DQ and VL; `avx2` for AVX2 and FMA.
enum class Isa { portable, avx2, avx512 };

inline bool supported(Isa isa) {
  __builtin_cpu_init();
  const bool avx2 = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
  if (isa == Isa::avx2) return avx2;
  if (isa == Isa::avx512) {
    return avx2 && __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl");
  }
  return true;
}

inline Isa best_isa() {
  if (supported(Isa::avx512)) return Isa::avx512;
  return supported(Isa::avx2) ? Isa::avx2 : Isa::portable;
}

inline const char* name(Isa isa) {
  return isa == Isa::avx512 ? "avx512" : isa == Isa::avx2 ? "avx2" : "portable";
}

/// The member of a table of function pointers that `isa` names.
/// @throws std::invalid_argument where this machine cannot run it
template <class Function>
Function choose(Isa isa, Function portable, Function avx2, Function avx512) {
  if (!supported(isa)) throw std::invalid_argument(std::string("this CPU has no ") + name(isa));
  return isa == Isa::avx512 ? avx512 : isa == Isa::avx2 ? avx2 : portable;
}

}  // namespace prefer::kernels
