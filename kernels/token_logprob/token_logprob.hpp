// Log-probability and entropy of given tokens from their rows of logits, and the gradient into the logits.
//
// With z = inv_temperature * x, m = max_j z_j, s = sum_j exp(z_j - m):
//   lse = m + log s;   logp = z_y - lse;   entropy = lse - sum_j p_j z_j,   p_j = exp(z_j - lse).
// With upstream g of logp and h of entropy, and E = sum_j p_j z_j = lse - entropy:
//   dx_j = inv_temperature * (g (delta_{jy} - p_j) - h p_j (z_j - E)).
// A row is read once (online softmax: Milakov, Gimelshein, 2018, arXiv:1805.02867). Its bits depend on
// nothing but the row: not on other rows, on the stride or on the number of threads; on CUDA that holds of
// rows that begin at multiples of 16 bytes.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::token_logprob {

/// A logit of -inf has probability 0. A row without a finite logit, or with +inf or NaN, gives NaN
/// (argmax passes over NaN).
template <class T>
struct Forward {
  const T* logits = nullptr;            // [rows, vocab], rows `stride` elements apart
  const std::int64_t* label = nullptr;  // [rows], in [0, vocab)
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t stride = 0;
  Wide<T> inv_temperature = 1;     // > 0
  Wide<T>* logp = nullptr;         // [rows]
  Wide<T>* lse = nullptr;          // [rows]
  Wide<T>* entropy = nullptr;      // [rows], or null; in nats
  std::int64_t* argmax = nullptr;  // [rows], or null; the lowest index among equals
  Isa isa = best_isa();            // read by the cpu twin alone
  void* stream = nullptr;          // cudaStream_t, read by the cuda twin alone
};

/// The logits may be a part of a row's vocabulary, with lse and entropy those of the whole: a label outside
/// [0, vocab) then stands in another part.
template <class T>
struct Backward {
  const T* logits = nullptr;            // as in Forward
  const std::int64_t* label = nullptr;  // [rows]
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t stride = 0;
  Wide<T> inv_temperature = 1;            // > 0
  const Wide<T>* lse = nullptr;           // [rows], from the forward
  const Wide<T>* entropy = nullptr;       // [rows], from the forward; needed with grad_entropy
  const Wide<T>* grad_logp = nullptr;     // [rows]
  const Wide<T>* grad_entropy = nullptr;  // [rows], or null
  T* grad = nullptr;                      // [rows, vocab], overwritten; may be `logits` itself
  std::int64_t grad_stride = 0;
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes or pointers that do not fit, and the forward for labels that do
// not; cuda gives NaN for such a label.

namespace reference {  // T: float, bf16, double; arithmetic in double
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace reference

namespace cpu {  // T: float, bf16
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cpu

namespace cuda {  // T: float, bf16; asynchronous on args.stream
template <class T>
void forward(const Forward<T>& args);
template <class T>
void backward(const Backward<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::token_logprob
