// Draws a token a row from logits after temperature, top-k and top-p, each with a uniform number given by the
// caller; gives its log-probability, and the entropy of the row.
//
// p = softmax(x / temperature). Tokens are ranked by p, equals by the lower index first. top_k keeps the
// first top_k; p is then normalised again, and top_p keeps the shortest prefix of the ranking whose sum
// reaches top_p (the token that crosses is kept). The draw is the inverse of the kept tokens' cumulative
// distribution in index order at `uniform`, summed in double. temperature = 0 takes the largest logit, the
// lowest index among equals. Source: nucleus sampling, Holtzman et al., 2019, arXiv:1904.09751, section 3.1.
// Log-probability and entropy are those of softmax(inv_temperature x), without the filters, as
// kernels/token_logprob has them.
#pragma once

#include "kernels/isa.hpp"
#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels::sample {

inline constexpr double kSmallestTemperature = 1e-6;  // but for 0

template <class T>
struct Forward {
  const T* logits = nullptr;  // [rows, vocab], rows `stride` elements apart; -inf: never drawn
  std::int64_t rows = 0;
  std::int64_t vocab = 0;
  std::int64_t stride = 0;
  const double* uniform = nullptr;  // [rows], in (0, 1); may be null at temperature 0
  double temperature = 1;           // 0, or >= kSmallestTemperature
  std::int64_t top_k = 0;           // 0: all
  double top_p = 1;                 // in (0, 1]; 1: all
  std::int64_t* token = nullptr;    // [rows]; -1 for a row with NaN, with +inf or without a finite logit
  Wide<T> inv_temperature = 1;      // of logp and entropy; 1 at temperature 0
  Wide<T>* logp = nullptr;          // [rows]; NaN where there is no token
  Wide<T>* entropy = nullptr;       // [rows], or null; in nats; NaN where there is no token
  Isa isa = best_isa();             // read by the cpu twin alone
  void* stream = nullptr;           // cudaStream_t, read by the cuda twin alone
};

// All throw std::invalid_argument for sizes, pointers or settings that do not fit.

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

}  // namespace prefer::kernels::sample
