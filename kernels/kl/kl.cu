// CUDA twins of kl: a block a row.
#include "kernels/cuda.cuh"
#include "kernels/kl/body.hpp"

namespace prefer::kernels::kl::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Forward<T> a) {
  for (std::int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) forward_row(a, row, Block{});
}

template <class T>
__global__ void __launch_bounds__(kThreads) backward_kernel(Backward<T> a) {
  for (std::int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) backward_row(a, row, Block{});
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.rows == 0) return;
  forward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "kl");
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  if (a.rows == 0) return;
  backward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "kl's backward");
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace prefer::kernels::kl::cuda
