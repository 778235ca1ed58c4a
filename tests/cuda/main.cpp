// Runs the tests of the CUDA twins where there is a GPU, and says in one line that nothing was run where
// there is none.
#include <cuda_runtime_api.h>
#include <gtest/gtest.h>

#include <cstdio>

namespace {
constexpr int kSkipped = 77;  // as CTest is told
}

int main(int argc, char** argv) {
  ::testing::InitGoogleTest(&argc, argv);
  int count = 0;
  const cudaError_t status = cudaGetDeviceCount(&count);
  if (status != cudaSuccess || count == 0) {
    std::printf("test_cuda: no GPU here (%s): nothing was run\n", cudaGetErrorString(status));
    return kSkipped;
  }
  cudaDeviceProp device;
  if (cudaGetDeviceProperties(&device, 0) == cudaSuccess) std::printf("test_cuda: on %s\n", device.name);
  return RUN_ALL_TESTS();
}
