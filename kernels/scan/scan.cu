// CUDA twin of scan: a block a sequence.
#include "kernels/cuda.cuh"
#include "kernels/scan/body.hpp"

namespace prefer::kernels::scan::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Gae<T> a) {
  for (std::int64_t s = blockIdx.x; s < a.sequences; s += gridDim.x) scan_sequence(a, s, Block{});
}

}  // namespace

template <class T>
void forward(const Gae<T>& a) {
  check(a);
  if (a.sequences == 0) return;
  forward_kernel<<<blocks_for(a.sequences), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "scan");
}

template void forward(const Gae<float>&);

}  // namespace prefer::kernels::scan::cuda
