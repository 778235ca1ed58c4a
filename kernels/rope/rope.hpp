// Rotary position embedding in the half-split layout (rotate_half), and its frequencies and tables.
//
// With h = dim / 2, c = cos[p][i], s = sign * sin[p][i], for i < h and p = position[row]:
//   y_i = x_i c - x_{i+h} s;   y_{i+h} = x_{i+h} c + x_i s.
// The gradient is the same rotation with sign = -1. Source: Su et al., 2021, arXiv:2104.09864, equation 34,
// with the pairs (i, i + h) of GPT-NeoX and Llama.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>
#include <vector>

namespace prefer::kernels::rope {

template <class T>
struct Forward {
  const T* x = nullptr;  // [rows, heads, dim], rows `x_stride` apart, heads dim apart; dim is even
  std::int64_t rows = 0;
  std::int64_t heads = 0;
  std::int64_t dim = 0;
  std::int64_t x_stride = 0;
  const std::int64_t* position = nullptr;  // [rows], in [0, positions)
  const Wide<T>* cos = nullptr;            // [positions, dim / 2]
  const Wide<T>* sin = nullptr;            // [positions, dim / 2]
  std::int64_t positions = 0;
  int sign = 1;    // -1: backward
  T* y = nullptr;  // [rows, heads, dim], rows `y_stride` apart; may be x
  std::int64_t y_stride = 0;
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

/// What a model's config says of its frequencies.
struct Frequencies {
  std::int64_t dim = 0;    // of a head
  double theta = 10000.0;  // rope_theta
  bool llama3 = false;     // rope_type "llama3": the four below count
  double factor = 1.0;
  double low_freq_factor = 1.0;
  double high_freq_factor = 4.0;
  double original_context = 8192.0;  // original_max_position_embeddings
};

/// Angle per position of each pair, theta^(-2i / dim), [dim / 2]; with llama3 long waves are stretched by
/// `factor` and those between the two bounds blended (Llama 3.1). Throws std::invalid_argument.
std::vector<double> inverse_frequencies(const Frequencies& frequencies);

/// Rows of cos and sin for positions 0 .. positions - 1, computed in double and rounded once.
template <class W>
struct Tables {
  std::vector<W> cos;  // [positions, dim / 2]
  std::vector<W> sin;
};
template <class W>  // W: float, double
Tables<W> make_tables(const std::vector<double>& inverse_frequencies, std::int64_t positions);

// All throw std::invalid_argument for sizes, pointers or positions that do not fit; cuda gives NaN for such a
// row.

namespace reference {  // T: float, bf16, double; arithmetic in double
template <class T>
void forward(const Forward<T>& args);
}  // namespace reference

namespace cpu {  // T: float, bf16
template <class T>
void forward(const Forward<T>& args);
}  // namespace cpu

namespace cuda {  // T: float, bf16; asynchronous on args.stream
template <class T>
void forward(const Forward<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::rope
