// Generalised advantage estimation over the sequences of a batch; without gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

struct Advantages {
  Tensor advantage;  // [M]
  Tensor returns;    // [M]
};

/// Advantages and returns (advantage + value) of tokens that stand sequence by sequence: reward and value [M]
/// float or double, begin [S + 1] int64, the place of each sequence's first token and M at the end. Schulman
/// et al. 2015, equation 16 (arXiv 1506.02438); kernels/scan. Throws Error when shapes, types or boundaries
/// do not fit; on CUDA boundaries are not looked at. Does not wait for the device.
Advantages gae(const Tensor& reward, const Tensor& value, const Tensor& begin, double gamma, double lambda);

}  // namespace prefer
