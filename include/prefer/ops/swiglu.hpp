// SwiGLU's activation with gradient.
#pragma once

#include "prefer/tensor.hpp"

namespace prefer {

/// silu(gate) * up for gate and up side by side: [M, 2I] -> [M, I]. Shazeer, 2020, arXiv:2002.05202, equation
/// 6; kernels/swiglu. Throws Error when the width is odd. Does not wait for the device.
Tensor swiglu(const Tensor& gate_up);

}  // namespace prefer
