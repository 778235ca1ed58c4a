// Estimates of KL(pi || ref) from tokens drawn from pi.
#pragma once

#include "prefer/tensor.hpp"

#include <string>

namespace prefer {

// Schulman 2020, "Approximating KL Divergence" (joschu.net/blog/kl-approx.html). With q = log pi - log ref of
// a drawn token the KL is the mean of each, of k2 up to third order in pi - ref. The shape is that of `q`.

/// q: unbiased, of either sign.
inline Tensor k1(const Tensor& q) { return q; }
/// q^2 / 2: biased, of less variance; as a loss its gradient is that of the KL.
inline Tensor k2(const Tensor& q) { return 0.5 * q * q; }
/// exp(-q) - 1 + q: unbiased and never below 0.
inline Tensor k3(const Tensor& q) { return at::expm1(-q) + q; }

/// The one of name "k1", "k2" or "k3"; throws Error for another.
Tensor kl_estimate(const std::string& name, const Tensor& q);

}  // namespace prefer
