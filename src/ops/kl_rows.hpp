// The KL of rows of logits to a second model's, its estimates and their gradient: kernels/kl on tensors.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer::ops {

/// The KL of each row and its estimates, or the upstreams of these. [M] each, or undefined.
struct KlRows {
  Tensor kl, k1, k2, k3;

  bool any() const { return kl.defined() || k1.defined() || k2.defined() || k3.defined(); }
  KlRows part(int64_t begin, int64_t count) const {
    const auto cut = [&](const Tensor& t) { return t.defined() ? t.narrow(0, begin, count) : Tensor(); };
    return {cut(kl), cut(k1), cut(k2), cut(k3)};
  }
};

/// Two models' logits of the same rows; distributions are over the ids that both have.
struct TwoLogits {
  Tensor ours;    // [M, V], rows without gaps
  Tensor theirs;  // [M, their V], likewise
  Tensor label;   // [M] int64, or undefined: no estimates
  double temperature = 1;
};

/// Fills what is defined of `values`.
void read_kl(const TwoLogits& logits, const KlRows& values);
/// Puts the gradient of the sum of upstreams times values in the place of our logits.
void write_kl_gradient(const TwoLogits& logits, const KlRows& upstream);

}  // namespace prefer::ops
