// CUDA twin of adamw: a thread an element.
#include "kernels/adamw/body.hpp"
#include "kernels/cuda.cuh"

namespace prefer::kernels::adamw::cuda {
namespace {

constexpr int kThreads = 256;

__global__ void __launch_bounds__(kThreads) step_kernel(Step<float> a, Factors f) {
  const std::int64_t stride = std::int64_t{gridDim.x} * kThreads;
  for (std::int64_t i = std::int64_t{blockIdx.x} * kThreads + threadIdx.x; i < a.size; i += stride) {
    update_element(a, f, i);
  }
}

}  // namespace

template <class T>
void forward(const Step<T>& a) {
  check(a);
  if (a.size == 0) return;
  step_kernel<<<blocks_for((a.size + kThreads - 1) / kThreads), kThreads, 0, stream_of(a.stream)>>>(
      a, factors(a));
  cuda_check(cudaGetLastError(), "adamw");
}

template void forward(const Step<float>&);

}  // namespace prefer::kernels::adamw::cuda
