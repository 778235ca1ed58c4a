// Stands in for nccl.cpp in a build without CUDA.
#include "prefer/core/error.hpp"
#include "src/dist/backend.hpp"

namespace prefer {

c10::intrusive_ptr<c10d::Backend> nccl_backend(const c10::intrusive_ptr<c10d::Store>&, int, int,
                                               std::chrono::milliseconds) {
  fail(
      "device=cuda on several ranks wants NCCL, and this build has none; build with PREFER_CUDA=ON and "
      "nccl.h");
}

}  // namespace prefer
