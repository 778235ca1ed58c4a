// Causal attention over a forest of token segments: training, prefill behind a shared prompt, and decoding
// from a cache.
//
// For query row i of head h at position p of its sequence, with g = h / (heads / kv_heads):
//   s_j = scale * q[i, h] . k[j, g]   over the keys j of the run at positions max(0, p - window + 1) .. p
//   lse[i, h] = log sum_j exp(s_j),   out[i, h] = sum_j exp(s_j - lse[i, h]) v[j, g]
// Backward, with P_ij = exp(s_ij - lse_i) and D_i = dout_i . out_i:
//   dv_j = sum_i P_ij dout_i,  dS_ij = scale P_ij (dout_i . v_j - D_i),  dq_i = sum_j dS_ij k_j,  dk_j =
//   sum_i dS_ij q_i
// Sources: Vaswani et al. 2017 eq. 1 (arXiv 1706.03762); grouped heads, Ainslie et al. 2023 (arXiv
// 2305.13245); online softmax and backward from lse, Dao 2023, algorithms 1 and 2 (arXiv 2307.08691).
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::attention {

/// `count` consecutive rows of k and v, from `row` on.
struct Span {
  std::int64_t row = 0;
  std::int64_t count = 0;
};

/// Query rows query_begin .. query_begin + query_count - 1, which stand at positions first_position, ... of
/// one sequence. Its keys are spans[span_begin .. span_end) end to end, from position 0: their counts add up
/// to first_position + query_count. In training a run is a segment, and its spans are its ancestors and
/// itself; while decoding the spans are pages of the cache. A query row belongs to one run at most; spans may
/// be shared and nested.
struct Run {
  std::int64_t query_begin = 0;
  std::int64_t query_count = 0;
  std::int64_t first_position = 0;
  std::int64_t span_begin = 0;
  std::int64_t span_end = 0;
};

/// A matrix whose rows are `stride` elements apart, each row [heads, dim]; so q, k and v may be views of one
/// buffer.
template <class T>
struct Rows {
  T* data = nullptr;
  std::int64_t stride = 0;
  PREFER_HOST_DEVICE T* row(std::int64_t i) const { return data + i * stride; }
};

/// runs and spans lie in host memory for every twin; the rest on the twin's device.
struct Shape {
  const Run* runs = nullptr;
  std::int64_t run_count = 0;
  const Span* spans = nullptr;
  std::int64_t span_count = 0;
  std::int64_t query_rows = 0;  // Tq: rows of q, out and lse
  std::int64_t key_rows = 0;    // R: rows of k and v
  std::int64_t heads = 0;       // H, a multiple of kv_heads
  std::int64_t kv_heads = 0;    // K
  std::int64_t dim = 0;         // d
  double scale = 0;             // 0: 1 / sqrt(dim)
  std::int64_t window = 0;      // 0: no window
  Isa isa = best_isa();         // read by the cpu twin alone
  void* stream = nullptr;       // read by the cuda twin alone
};

/// Rows of q that no run holds are left as they are in out and lse.
template <class T>
struct Forward : Shape {
  Rows<const T> q;         // [Tq, H, d]
  Rows<const T> k;         // [R, K, d]
  Rows<const T> v;         // [R, K, d]
  Rows<T> out;             // [Tq, H, d]
  Wide<T>* lse = nullptr;  // [Tq, H], contiguous
};

/// out and lse as the forward left them. dq, dk and dv are overwritten, with 0 where nothing reaches a row.
template <class T>
struct Backward : Shape {
  Rows<const T> q;
  Rows<const T> k;
  Rows<const T> v;
  Rows<const T> out;
  const Wide<T>* lse = nullptr;
  Rows<const T> dout;  // [Tq, H, d]
  Rows<T> dq;          // [Tq, H, d]
  Rows<T> dk;          // [R, K, d]
  Rows<T> dv;          // [R, K, d]
};

/// @throws std::invalid_argument when a run or span leaves its matrix, or a run's spans do not add up
void check(const Shape& shape);

/// 1 / sqrt(dim) unless the shape gives a scale.
double scale_of(const Shape& shape);

/// Double arithmetic in the order of the formula. T is float, bf16 or double.
namespace reference {
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace reference

/// T is float or bf16; float arithmetic. Forward: the bits of a query row depend (on one isa) on its q and on
/// the keys and values it sees, by position, and on nothing else: not on the run's other queries, the cut
/// into spans or threads. Backward: the bits depend on the shape, not on the number of threads.
namespace cpu {
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cpu

/// T is float or bf16; float arithmetic; dim <= 256. Asynchronous on the stream, without atomics: equal
/// calls, equal bits.
namespace cuda {
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::attention
