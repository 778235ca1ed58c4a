// CUDA twins of norm: a block a row; dweight in two passes over fixed blocks of rows.
#include "kernels/cuda.cuh"
#include "kernels/norm/body.hpp"

namespace prefer::kernels::norm::cuda {
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

template <class T>
__global__ void __launch_bounds__(kThreads) parts_kernel(Backward<T> a, Wide<T>* parts, std::int64_t blocks) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column >= a.width) return;
  for (std::int64_t block = blockIdx.y; block < blocks; block += gridDim.y) {
    parts[block * a.width + column] = dweight_part(a, block, column);
  }
}

template <class W>
__global__ void __launch_bounds__(kThreads)
    total_kernel(const W* parts, std::int64_t blocks, std::int64_t width, W* dweight) {
  const std::int64_t column = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (column < width) dweight[column] = dweight_total(parts, blocks, width, column);
}

/// Before dx, which may overwrite dy.
template <class T>
void backward_weight(const Backward<T>& a) {
  using W = Wide<T>;
  const std::int64_t blocks = row_blocks(a.rows);
  const auto columns = static_cast<unsigned>((a.width + kThreads - 1) / kThreads);
  const cudaStream_t stream = stream_of(a.stream);
  const Scratch parts(static_cast<std::size_t>(blocks * a.width) * sizeof(W), stream);
  if (blocks > 0) {
    const dim3 grid(columns, static_cast<unsigned>(std::min<std::int64_t>(blocks, 65535)));
    parts_kernel<<<grid, kThreads, 0, stream>>>(a, parts.as<W>(), blocks);
    cuda_check(cudaGetLastError(), "norm's dweight");
  }
  total_kernel<<<columns, kThreads, 0, stream>>>(parts.as<const W>(), blocks, a.width, a.dweight);
  cuda_check(cudaGetLastError(), "norm's dweight");
}

}  // namespace

template <class T>
void forward(const Forward<T>& a) {
  check(a);
  if (a.rows == 0) return;
  forward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "norm");
}

template <class T>
void backward(const Backward<T>& a) {
  check(a);
  if (a.dweight) backward_weight(a);
  if (a.rows == 0) return;
  backward_kernel<<<blocks_for(a.rows), kThreads, 0, stream_of(a.stream)>>>(a);
  cuda_check(cudaGetLastError(), "norm's backward");
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace prefer::kernels::norm::cuda
