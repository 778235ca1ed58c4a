// The KL divergence of two rows of logits, exact over the vocabulary and as a drawn token tells it, with its
// gradient, in one pass over both.
//
// With p = softmax(scale x) of the policy, q = softmax(scale y) of the reference, scale = 1 / temperature:
//   KL(p || q) = sum_j p_j (log p_j - log q_j);   dKL/dx_j = scale p_j (log p_j - log q_j - KL).
// Source: Kullback, Leibler, 1951, "On information and sufficiency", equation 2.2. Where p_j is 0 nothing is
// added. Of a token t drawn from p, Schulman's k1, k2 and k3 (estimators.hpp) estimate it from the log-ratio
// r = log p_t - log q_t:
//   dk/dx_j = scale dk/dr (1[j = t] - p_j).
// Upstreams are given with the logits, so that one pass over the rows gives their values and the gradient of
//   sum grad_kl KL + grad_k1 k1 + grad_k2 k2 + grad_k3 k3:
// on the CPU while a row lies in cache, on CUDA in one kernel.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::kl {

/// Equal rows give exactly 0, and the KL's gradient too.
template <class T>
struct Divergence {
  const T* policy = nullptr;     // [rows, vocab], rows `policy_stride` elements apart
  const T* reference = nullptr;  // [rows, vocab], rows `reference_stride` apart
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t policy_stride = 0;
  std::int64_t reference_stride = 0;
  Wide<T> inv_temperature = 1;
  const std::int64_t* label = nullptr;  // [rows] the drawn tokens, in [0, vocab); wanted with a k or its grad
  Wide<T>* kl = nullptr;                // [rows] nats, or null: not wanted
  Wide<T>* k1 = nullptr;                // [rows] likewise
  Wide<T>* k2 = nullptr;
  Wide<T>* k3 = nullptr;
  const Wide<T>* grad_kl = nullptr;  // [rows] upstream, or null: none
  const Wide<T>* grad_k1 = nullptr;  // [rows] likewise
  const Wide<T>* grad_k2 = nullptr;
  const Wide<T>* grad_k3 = nullptr;
  T* grad = nullptr;  // [rows, vocab] of the policy's logits, or null; wanted with an upstream; may be policy
  std::int64_t grad_stride = 0;  // rows of grad are so many elements apart
  Isa isa = best_isa();          // read by the cpu twin alone
  void* stream = nullptr;        // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes or pointers that do not fit, and for labels that do not; cuda
// gives NaN for such a label. A row's bits do not depend on the others.

namespace reference {  // T: float, bf16, double; arithmetic in double
template <class T>
void forward(const Divergence<T>& args);
}  // namespace reference

namespace cpu {  // T: float, bf16
template <class T>
void forward(const Divergence<T>& args);
}  // namespace cpu

namespace cuda {  // T: float, bf16; asynchronous on args.stream
template <class T>
void forward(const Divergence<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::kl
