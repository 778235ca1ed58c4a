// From an answer's score to a reward for each of its tokens, and numbers made comparable.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// r_t = -kl_coef kl_t, and the score of the answer besides at its last token: Ziegler et al. 2019, equation
/// 2 (arXiv 1909.08593), its KL penalty taken apart over tokens. kl [M], score [S] of one type, last [S]
/// int64, where the last token of each answer stands -> [M].
inline Tensor token_rewards(const Tensor& kl, const Tensor& score, const Tensor& last, double kl_coef) {
  return (-kl_coef * kl).index_add(0, last, score);
}

/// (x - mean) / sqrt(variance + 1e-8), and the mean put back unless `shift_mean`: rewards keep theirs,
/// advantages lose it (Huang et al. 2024, arXiv 2403.17031). x [M] -> [M]. The variance is the unbiased
/// one; fewer than two numbers have none. Give it all numbers of an iteration: those of a part have another
/// mean. Computed in double, in the order of the numbers.
Tensor whiten(const Tensor& x, bool shift_mean);

/// The sum in double, in the order of the numbers: LibTorch's depends on the number of threads where there
/// are many.
double sum_in_order(const Tensor& values);

}  // namespace prefer
