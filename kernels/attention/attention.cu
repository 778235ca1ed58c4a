// CUDA twins of attention: a block a tile of queries and key head, and for dk and dv a block a piece of the
// keys.
#include "kernels/attention/body.hpp"
#include "kernels/attention/tiles.hpp"
#include "kernels/cuda.cuh"

namespace prefer::kernels::attention::cuda {
namespace {

constexpr int kThreads = 128;

struct Threads {
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return kThreads; }
  __device__ void sync() const { __syncthreads(); }
};

extern __shared__ std::int64_t shared_memory[];

template <class T>
__global__ void __launch_bounds__(kThreads)
    forward_kernel(Forward<T> args, float scale, int side, const tiles::Tile* all) {
  const tiles::Shared shared(shared_memory, side, args.dim);
  tiles::forward_tile(args, scale, all[blockIdx.x], blockIdx.y, shared, Threads{});
}

template <class T>
__global__ void __launch_bounds__(kThreads) dots_kernel(Backward<T> args, float* dots) {
  const std::int64_t n = std::int64_t{blockIdx.x} * kThreads + threadIdx.x;
  if (n < args.query_rows * args.heads) dots[n] = tiles::dot_of(args, n / args.heads, n % args.heads);
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    query_kernel(Backward<T> args, float scale, int side, const float* dots, const tiles::Tile* all) {
  const tiles::Shared shared(shared_memory, side, args.dim);
  tiles::query_gradient(args, scale, dots, all[blockIdx.x], blockIdx.y, shared, Threads{});
}

template <class T>
__global__ void __launch_bounds__(kThreads)
    key_kernel(Backward<T> args, float scale, int side, const float* dots, const tiles::Part* parts,
               const std::int64_t* begin) {
  const tiles::Shared shared(shared_memory, side, args.dim);
  const std::int64_t first = begin[blockIdx.x], count = begin[blockIdx.x + 1] - first;
  tiles::key_gradient(args, scale, dots, std::int64_t{blockIdx.x} * side, parts + first, count, blockIdx.y,
                      shared, Threads{});
}

/// Values of the host on the device. They are pageable memory: the copy has left it when the constructor
/// returns.
template <class T>
struct Copy {
  Scratch memory;
  Copy(const T* values, std::size_t count, cudaStream_t stream) : memory(count * sizeof(T), stream) {
    if (count == 0) return;
    cuda_check(cudaMemcpyAsync(memory.as<T>(), values, count * sizeof(T), cudaMemcpyHostToDevice, stream),
               "attention's runs");
  }
  Copy(const std::vector<T>& values, cudaStream_t stream) : Copy(values.data(), values.size(), stream) {}
  const T* get() const { return memory.as<const T>(); }
};

/// Runs and spans on the device, and the arguments that point there.
template <class Args>
struct OnDevice {
  Copy<Run> runs;
  Copy<Span> spans;
  Args args;
  explicit OnDevice(const Args& host)
      : runs(host.runs, static_cast<std::size_t>(host.run_count), stream_of(host.stream)),
        spans(host.spans, static_cast<std::size_t>(host.span_count), stream_of(host.stream)),
        args(host) {
    args.runs = runs.get();
    args.spans = spans.get();
  }
};

/// Lets the kernel have this much shared memory. @throws std::runtime_error where the device has less
template <class Kernel>
std::size_t allow_shared(Kernel kernel, std::size_t bytes) {
  cuda_check(
      cudaFuncSetAttribute(kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, static_cast<int>(bytes)),
      "attention's shared memory");
  return bytes;
}

dim3 grid_of(std::size_t pieces, std::int64_t kv_heads) {
  return dim3(static_cast<unsigned>(pieces), static_cast<unsigned>(kv_heads));
}

void check_for_device(const Shape& shape) {
  check(shape);
  if (shape.dim > 256) {
    throw std::invalid_argument("attention on CUDA wants dim <= 256, not " + std::to_string(shape.dim));
  }
}

template <class T>
void zero(Rows<T> rows, std::int64_t count, std::int64_t width, cudaStream_t stream) {
  if (count == 0) return;
  cuda_check(
      cudaMemset2DAsync(rows.data, static_cast<std::size_t>(rows.stride) * sizeof(T), 0,
                        static_cast<std::size_t>(width) * sizeof(T), static_cast<std::size_t>(count), stream),
      "attention's gradient");
}

}  // namespace

template <class T>
void forward(const Forward<T>& host) {
  check_for_device(host);
  const std::vector<tiles::Tile> all = tiles::tiles_of(host);
  if (all.empty()) return;
  const cudaStream_t stream = stream_of(host.stream);
  const OnDevice<Forward<T>> device(host);
  const Copy<tiles::Tile> where(all, stream);
  const std::size_t bytes =
      tiles::shared_bytes(host.dim, tiles::kForwardMatrices, tiles::kForwardSquares, tiles::kForwardColumns);
  forward_kernel<T>
      <<<grid_of(all.size(), host.kv_heads), kThreads, allow_shared(forward_kernel<T>, bytes), stream>>>(
          device.args, static_cast<float>(scale_of(host)), tiles::side_for(host.dim), where.get());
  cuda_check(cudaGetLastError(), "attention");
}

template <class T>
void backward(const Backward<T>& host) {
  check_for_device(host);
  const cudaStream_t stream = stream_of(host.stream);
  const float scale = static_cast<float>(scale_of(host));
  const int side = tiles::side_for(host.dim);
  const OnDevice<Backward<T>> device(host);
  const std::int64_t rows = host.query_rows * host.heads;
  const Scratch dots(static_cast<std::size_t>(rows) * sizeof(float), stream);
  zero(host.dq, host.query_rows, host.heads * host.dim, stream);
  if (rows > 0) {
    const auto blocks = static_cast<unsigned>((rows + kThreads - 1) / kThreads);
    dots_kernel<T><<<blocks, kThreads, 0, stream>>>(device.args, dots.as<float>());
    cuda_check(cudaGetLastError(), "attention's dots");
  }
  const std::vector<tiles::Tile> all = tiles::tiles_of(host);
  const Copy<tiles::Tile> where(all, stream);
  if (!all.empty()) {
    const std::size_t bytes =
        tiles::shared_bytes(host.dim, tiles::kQueryMatrices, tiles::kQuerySquares, tiles::kQueryColumns);
    query_kernel<T>
        <<<grid_of(all.size(), host.kv_heads), kThreads, allow_shared(query_kernel<T>, bytes), stream>>>(
            device.args, scale, side, dots.as<const float>(), where.get());
    cuda_check(cudaGetLastError(), "attention's dq");
  }
  const tiles::KeyParts keys = tiles::key_parts(host);
  if (host.key_rows == 0) return;
  const Copy<tiles::Part> parts(keys.parts, stream);
  const Copy<std::int64_t> begin(keys.begin, stream);
  const std::size_t bytes =
      tiles::shared_bytes(host.dim, tiles::kKeyMatrices, tiles::kKeySquares, tiles::kKeyColumns);
  key_kernel<T><<<grid_of(keys.begin.size() - 1, host.kv_heads), kThreads, allow_shared(key_kernel<T>, bytes),
                  stream>>>(device.args, scale, side, dots.as<const float>(), parts.get(), begin.get());
  cuda_check(cudaGetLastError(), "attention's dk and dv");
}

template void forward(const Forward<float>&);
template void forward(const Forward<bf16>&);
template void backward(const Backward<float>&);
template void backward(const Backward<bf16>&);

}  // namespace prefer::kernels::attention::cuda
