// NCCL for tensors on GPUs: the one file that sees its header.
#define USE_C10D_NCCL
#include "src/dist/backend.hpp"

#include <torch/csrc/distributed/c10d/ProcessGroupNCCL.hpp>

namespace prefer {

c10::intrusive_ptr<c10d::Backend> nccl_backend(const c10::intrusive_ptr<c10d::Store>& store, int rank,
                                               int size, std::chrono::milliseconds patience) {
  auto options = c10d::ProcessGroupNCCL::Options::create();
  options->timeout = patience;
  return c10::make_intrusive<c10d::ProcessGroupNCCL>(store, rank, size, std::move(options));
}

}  // namespace prefer
