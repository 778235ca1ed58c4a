// CUDA twin of rope: a block a row, a thread a pair.
#include "kernels/cuda.cuh"
#include "kernels/rope/body.hpp"

namespace prefer::kernels::rope::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Forward<T> a) {
  const unsigned half =
      static_cast<unsigned>(a.dim / 2);  // 32 bits: the division is the kernel's longest part
  const unsigned pairs = static_cast<unsigned>(a.heads) * half;
  for (std::int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) {
    for (unsigned i = threadIdx.x; i < pairs; i += kThreads) rotate_pair(a, row, i / half, i % half);
  }
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.rows == 0 || a.heads == 0) return;
  forward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "rope");
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace prefer::kernels::rope::cuda
