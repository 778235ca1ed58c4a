// Generalised advantage estimation: a scan over each sequence, from its end.
//
// Of one sequence of n tokens, with V_n = 0:
//   delta_t = r_t + gamma V_{t+1} - V_t;   A_t = delta_t + gamma lambda A_{t+1};   R_t = A_t + V_t.
// Source: Schulman, Moritz, Levine, Jordan, Abbeel, 2015, arXiv:1506.02438, equation 16.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::scan {

/// Sequences stand end to end on one axis of `begin[sequences]` tokens. Nothing may overlap.
template <class T>
struct Gae {
  const T* reward = nullptr;            // [tokens]
  const T* value = nullptr;             // [tokens]
  const std::int64_t* begin = nullptr;  // [sequences + 1] ascending: s holds [begin[s], begin[s + 1])
  std::int64_t sequences = 0;
  double gamma = 1;
  double lambda = 0.95;
  T* advantage = nullptr;  // [tokens]
  T* returns = nullptr;    // [tokens]
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes, pointers or factors that do not fit; those that can read them,
// for boundaries that do not ascend. A sequence's bits do not depend on its neighbours.

namespace reference {  // T: float, double; arithmetic in double
template <class T>
void forward(const Gae<T>& args);
}  // namespace reference

namespace cpu {  // T: float
template <class T>
void forward(const Gae<T>& args);
}  // namespace cpu

namespace cuda {  // T: float; asynchronous on args.stream
template <class T>
void forward(const Gae<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::scan
