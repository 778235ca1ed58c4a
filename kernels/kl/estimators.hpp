// Schulman's estimators of a KL divergence from one drawn token, and their slopes.
#pragma once

#include "kernels/number.hpp"

#include <cmath>

namespace prefer::kernels::kl {

/// Of the log-ratio r = log p_t - log q_t of a token t drawn from p. Over draws the mean of k1 and of k3 is
/// KL(p || q), that of k2 up to third order in p - q. Source: Schulman 2020, "Approximating KL Divergence"
/// (joschu.net/blog/kl-approx.html). R: float or double, or what has their arithmetic and an expm1.
template <class R>
struct Estimators {
  R r;

  /// r: unbiased, of either sign; over draws, its gradient is 0.
  PREFER_HOST_DEVICE R k1() const { return r; }
  /// r^2 / 2: biased, of less variance; over draws, its gradient is that of the KL.
  PREFER_HOST_DEVICE R k2() const { return r * r / 2; }
  /// exp(-r) - 1 + r: unbiased and never below 0; over draws, its gradient is that of KL(q || p).
  PREFER_HOST_DEVICE R k3() const {
    using std::expm1;
    return expm1(-r) + r;
  }

  // Their derivatives by r.
  PREFER_HOST_DEVICE R k1_slope() const { return 1; }
  PREFER_HOST_DEVICE R k2_slope() const { return r; }
  PREFER_HOST_DEVICE R k3_slope() const {
    using std::expm1;
    return -expm1(-r);
  }
};

}  // namespace prefer::kernels::kl
