// Vectors of a test copied to the device and back, so that the cases of the CPU twins serve the CUDA twins
// too.
#pragma once

#include <cuda_runtime_api.h>

#include <cstdint>
#include <cstring>
#include <stdexcept>
#include <string>
#include <type_traits>
#include <vector>

namespace prefer::testing {

inline void cuda_check(cudaError_t status) {
  if (status != cudaSuccess) throw std::runtime_error(std::string("CUDA: ") + cudaGetErrorString(status));
}

/// Device copies of host vectors, and a stream of their own.
class OnDevice {
 public:
  OnDevice() { cuda_check(cudaStreamCreateWithFlags(&stream_, cudaStreamNonBlocking)); }
  ~OnDevice() {
    for (const Copy& copy : copies_) cudaFree(copy.device);
    cudaStreamDestroy(stream_);
  }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;

  template <class T>
  void add(std::vector<T>& values) {
    Copy copy{reinterpret_cast<std::uintptr_t>(values.data()), values.size() * sizeof(T), nullptr};
    if (copy.bytes == 0) return;
    cuda_check(cudaMalloc(&copy.device, copy.bytes));
    copies_.push_back(copy);
    // On the twins' stream: a plain copy may still be under way when it returns, and this stream waits for no
    // other.
    cuda_check(cudaMemcpyAsync(copy.device, values.data(), copy.bytes, cudaMemcpyHostToDevice, stream_));
  }

  /// The arguments of a twin, plain words of which each that is an address within an added vector becomes the
  /// address of its copy.
  template <class Args>
  Args operator()(Args args) const {
    static_assert(std::is_trivially_copyable_v<Args> && sizeof(Args) % sizeof(std::uintptr_t) == 0);
    args.stream = stream_;
    std::uintptr_t words[sizeof(Args) / sizeof(std::uintptr_t)];
    std::memcpy(words, &args, sizeof args);
    for (std::uintptr_t& word : words) word = moved(word);
    std::memcpy(static_cast<void*>(&args), words, sizeof args);
    return args;
  }

  /// Waits for the twins, and copies everything back.
  void bring_back() const {
    cuda_check(cudaStreamSynchronize(stream_));
    for (const Copy& copy : copies_) {
      cuda_check(
          cudaMemcpy(reinterpret_cast<void*>(copy.host), copy.device, copy.bytes, cudaMemcpyDeviceToHost));
    }
  }

 private:
  struct Copy {
    std::uintptr_t host;
    std::size_t bytes;
    void* device;
  };
  std::uintptr_t moved(std::uintptr_t word) const {
    for (const Copy& copy : copies_) {
      if (word >= copy.host && word < copy.host + copy.bytes) {
        return reinterpret_cast<std::uintptr_t>(copy.device) + (word - copy.host);
      }
    }
    return word;
  }
  std::vector<Copy> copies_;
  cudaStream_t stream_ = nullptr;
};

/// Runs `twins`, which calls CUDA twins with arguments that it moves, on the vectors of `data`.
template <class Data, class Twins>
void on_device(Data& data, Twins twins) {
  OnDevice there;
  data.each([&](auto& values) { there.add(values); });
  twins(there);
  there.bring_back();
}

}  // namespace prefer::testing
