// CUDA twin of scale: a block a row.
#include "kernels/cuda.cuh"
#include "kernels/scale/body.hpp"

namespace prefer::kernels::scale::cuda {
namespace {

constexpr int kThreads = 256;

template <class T>
__global__ void __launch_bounds__(kThreads) forward_kernel(Forward<T> a) {
  for (std::int64_t row = blockIdx.x; row < a.rows; row += gridDim.x) forward_row(a, row, Block{});
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.rows == 0) return;
  forward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "scale");
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);

}  // namespace prefer::kernels::scale::cuda
