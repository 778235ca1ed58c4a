// The KL divergence of two rows of logits, over the whole vocabulary, and its gradient in one pass over both.
//
// With p = softmax(scale x) of the policy, q = softmax(scale y) of the reference, scale = 1 / temperature:
//   KL(p || q) = sum_j p_j (log p_j - log q_j);   dKL/dx_j = scale p_j (log p_j - log q_j - KL).
// Source: Kullback, Leibler, 1951, "On information and sufficiency", equation 2.2. Where p_j is 0 nothing is
// added. Of a token y drawn from p the same passes give log p_y and log q_y, of whose difference Schulman's
// estimators k1, k2 and k3 of the KL are functions (include/prefer/credit/kl_estimators.hpp), and the
// gradient
//   dlog p_y/dx_j = scale (1[j = y] - p_j).
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::kl {

/// Equal rows give exactly 0.
template <class T>
struct Forward {
  const T* policy = nullptr;     // [rows, vocab], rows `policy_stride` elements apart
  const T* reference = nullptr;  // [rows, vocab], rows `reference_stride` apart
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t policy_stride = 0;
  std::int64_t reference_stride = 0;
  Wide<T> inv_temperature = 1;
  Wide<T>* kl = nullptr;                // [rows] nats
  Wide<T>* policy_lse = nullptr;        // [rows] log sum exp of the scaled logits
  Wide<T>* reference_lse = nullptr;     // [rows]
  const std::int64_t* label = nullptr;  // [rows], in [0, vocab), or null: no log-probabilities
  Wide<T>* policy_logp = nullptr;       // [rows] log p of the label; wanted with label
  Wide<T>* reference_logp = nullptr;    // [rows] log q of the label; wanted with label
  Isa isa = best_isa();                 // read by the cpu twin alone
  void* stream = nullptr;               // cudaStream_t, read by the cuda twin alone
};

template <class T>
struct Backward {
  const T* policy = nullptr;  // as in Forward
  const T* reference = nullptr;
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t policy_stride = 0;
  std::int64_t reference_stride = 0;
  Wide<T> inv_temperature = 1;
  const Wide<T>* kl = nullptr;                // [rows] what Forward gave
  const Wide<T>* policy_lse = nullptr;        // [rows]
  const Wide<T>* reference_lse = nullptr;     // [rows]
  const Wide<T>* grad_kl = nullptr;           // [rows]
  const std::int64_t* label = nullptr;        // [rows] as in Forward; wanted with grad_policy_logp
  const Wide<T>* grad_policy_logp = nullptr;  // [rows], or null: none
  T* grad = nullptr;  // [rows, vocab] of the policy's logits, rows `grad_stride` apart; may be policy
  std::int64_t grad_stride = 0;
  Isa isa = best_isa();    // read by the cpu twin alone
  void* stream = nullptr;  // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes or pointers that do not fit, and the forward for labels that do
// not; cuda gives NaN for such a label. A row's bits do not depend on the others.

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

}  // namespace prefer::kernels::kl
