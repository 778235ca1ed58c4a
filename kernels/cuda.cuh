// What the CUDA twins share: error checks, streams, and a block of threads as a group.
#pragma once

#include "kernels/group.hpp"

#include <cuda_runtime.h>

#include <algorithm>
#include <cstdint>
#include <map>
#include <mutex>
#include <stdexcept>
#include <string>

namespace prefer::kernels {

inline void cuda_check(cudaError_t status, const char* what) {
  if (status == cudaSuccess) return;
  cudaGetLastError();  // the runtime keeps it, and the next check of a launch would tell it as its own
  throw std::runtime_error(std::string(what) + ": " + cudaGetErrorString(status));
}

inline cudaStream_t stream_of(void* stream) { return static_cast<cudaStream_t>(stream); }

/// Blocks for `work` pieces taken in strides: enough to fill any device, and within the grid's limit.
inline unsigned blocks_for(std::int64_t work) {
  return static_cast<unsigned>(std::min<std::int64_t>(work, 1 << 16));
}

/// The threads of a block, whole warps of them. reduce() and after() merge lanes, then warps, always in the
/// same order.
class Block {
 public:
  __device__ int rank() const { return static_cast<int>(threadIdx.x); }
  __device__ int size() const { return static_cast<int>(blockDim.x); }

  template <class Value, class Merge>
  __device__ Value reduce(Value value, Merge merge) const {
    __shared__ alignas(16) unsigned char bytes[32 * sizeof(Value)];
    Value* warps = reinterpret_cast<Value*>(bytes);
    const int lane = rank() % 32, warp = rank() / 32, count = size() / 32;
    value = across_lanes(value, merge);
    if (lane == 0) warps[warp] = value;
    __syncthreads();
    value = warps[0];
    for (int i = 1; i < count; ++i) value = merge(value, warps[i]);
    __syncthreads();
    return value;
  }

  template <class Value, class Merge>
  __device__ Value after(Value value, Value none, Merge merge) const {
    __shared__ alignas(16) unsigned char bytes[32 * sizeof(Value)];
    Value* warps = reinterpret_cast<Value*>(bytes);
    const int lane = rank() % 32, warp = rank() / 32, count = size() / 32;
#pragma unroll
    for (int step = 1; step < 32; step *= 2) {  // value becomes that of this lane and all after it
      const Value other = of_lane_after(value, step);
      if (lane + step < 32) value = merge(value, other);
    }
    if (lane == 0) warps[warp] = value;
    __syncthreads();
    Value later = none;
    for (int i = count - 1; i > warp; --i) later = merge(warps[i], later);
    const Value next = of_lane_after(value, 1);
    __syncthreads();
    return lane < 31 ? merge(next, later) : later;
  }

 private:
  template <class Value>
  static __device__ Value of_lane_after(Value value, int step) {
    static_assert(sizeof(Value) % 4 == 0);
    constexpr int kWords = sizeof(Value) / 4;
    unsigned words[kWords];
    memcpy(words, &value, sizeof value);
#pragma unroll
    for (int i = 0; i < kWords; ++i) words[i] = __shfl_down_sync(0xffffffffu, words[i], step);
    memcpy(&value, words, sizeof value);
    return value;
  }
  template <class Value, class Merge>
  static __device__ Value across_lanes(Value value, Merge merge) {
#pragma unroll
    for (int step = 16; step > 0; step /= 2) value = merge(value, of_lane_after(value, step));
    return value;
  }
};

/// Where the current device's scratch memory comes from: a pool of ours, as the settings of the default one
/// are the program's. Unless told, a pool gives all that is free back to the driver whenever the host waits,
/// and every step would ask for it anew: this one keeps 64 MiB.
inline cudaMemPool_t scratch_pool() {
  static std::mutex mutex;
  static std::map<int, cudaMemPool_t> pools;
  int device = 0;
  cuda_check(cudaGetDevice(&device), "the current device");
  const std::lock_guard<std::mutex> lock(mutex);
  cudaMemPool_t& pool = pools[device];
  if (pool != nullptr) return pool;
  cudaMemPoolProps props{};
  props.allocType = cudaMemAllocationTypePinned;
  props.location.type = cudaMemLocationTypeDevice;
  props.location.id = device;
  cuda_check(cudaMemPoolCreate(&pool, &props), "a memory pool of the device");
  std::uint64_t bytes = std::uint64_t{64} << 20;
  cuda_check(cudaMemPoolSetAttribute(pool, cudaMemPoolAttrReleaseThreshold, &bytes), "the memory pool");
  return pool;
}

/// Device memory that lives until the work queued before its end on the stream is done.
class Scratch {
 public:
  Scratch(std::size_t bytes, cudaStream_t stream) : stream_(stream) {
    cuda_check(cudaMallocFromPoolAsync(&data_, std::max<std::size_t>(bytes, 1), scratch_pool(), stream),
               "scratch memory of a kernel");
  }
  ~Scratch() { cudaFreeAsync(data_, stream_); }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  template <class T>
  T* as() const {
    return static_cast<T*>(data_);
  }

 private:
  void* data_ = nullptr;
  cudaStream_t stream_;
};

}  // namespace prefer::kernels
