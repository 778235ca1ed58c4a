// The c10d backend for tensors on a GPU: nccl.cpp, or no_nccl.cpp where the build has no CUDA.
#pragma once

#include <torch/csrc/distributed/c10d/Backend.hpp>

namespace prefer {

/// NCCL over the ranks of `store`. Throws Error in a build without CUDA.
c10::intrusive_ptr<c10d::Backend> nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                               int size, std::chrono::milliseconds patience);

}  // namespace prefer
