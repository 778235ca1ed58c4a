// One AdamW step over one tensor in one pass: parameter, both moments, and the bf16 copy of the parameter.
//
// With g = grad_scale * grad, t = step (counted from 1):
//   p <- p (1 - lr weight_decay);   m <- m + (1 - beta1)(g - m);   v <- beta2 v + (1 - beta2) g^2
//   p <- p - lr / (1 - beta1^t) * m / (sqrt(v) / sqrt(1 - beta2^t) + eps);   copy <- bf16(p).
// Source: Loshchilov, Hutter, 2017, arXiv:1711.05101, algorithm 2, in the form of torch.optim.AdamW.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::adamw {

/// A bf16 weight has its float master in `param` and is itself `copy`.
template <class T>
struct Step {
  T* param = nullptr;       // [size]
  const T* grad = nullptr;  // [size]
  T* m = nullptr;           // [size] first moment
  T* v = nullptr;           // [size] second moment
  bf16* copy = nullptr;     // [size], or null: param rounded to bf16
  std::int64_t size = 0;
  double learning_rate = 0;
  double beta1 = 0.9;
  double beta2 = 0.999;
  double eps = 1e-8;
  double weight_decay = 0;  // decoupled: multiplied by the learning rate
  double grad_scale = 1;    // clipping factor, multiplied into the gradient
  std::int64_t step = 1;    // this step's number, from 1
  Isa isa = best_isa();     // read by the cpu twin alone
  void* stream = nullptr;   // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes, pointers, betas or a step that do not fit.

namespace reference {  // T: float, double; arithmetic in double
template <class T>
void forward(const Step<T>& args);
}  // namespace reference

namespace cpu {  // T: float
template <class T>
void forward(const Step<T>& args);
}  // namespace cpu

namespace cuda {  // T: float; asynchronous on args.stream
template <class T>
void forward(const Step<T>& args);
}  // namespace cuda

}  // namespace prefer::kernels::adamw
