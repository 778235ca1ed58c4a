// CUDA twin of kl: a block a row, values and gradient in one kernel.
#include "kernels/cuda.cuh"
#include "kernels/kl/body.hpp"

namespace prefer::kernels::kl::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Divergence<T> a) {
  for (std::int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) forward_row(a, row, Block{});
}

}  // namespace

template <class T>
void forward(const Divergence<T>& a) {
  check(a);
  if (a.rows == 0) return;
  forward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "kl");
}

template void forward(const Divergence<float>&);
template void forward(const Divergence<bf16>&);

}  // namespace prefer::kernels::kl::cuda
