// Runs the tests of test_cuda and test_cuda_model where there is a GPU, and says in one line that nothing was
// run where there is none.
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
    std::printf("%s: no GPU here (%s): nothing was run\n", argv[0], cudaGetErrorString(status));
    return kSkipped;
  }
  cudaDeviceProp device;
  if (cudaGetDeviceProperties(&device, 0) == cudaSuccess) std::printf("%s: on %s\n", argv[0], device.name);
  return RUN_ALL_TESTS();
}
