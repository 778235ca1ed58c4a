// The device that a kernel of prefer is launched on: made the current one, and its current stream.
#pragma once

#include "prefer/tensor.hpp"

#include <c10/core/DeviceGuard.h>

namespace prefer::ops {

/// The current stream of a CUDA device as kernels take it, null on the CPU.
void* stream_of(at::Device device);

/// While it lives, a CUDA device is the current one, as a launch on its streams wants; on the CPU it does
/// nothing.
class DeviceScope {
 public:
  explicit DeviceScope(at::Device device) {
    if (device.is_cuda()) guard_.reset_device(device);
  }

 private:
  c10::OptionalDeviceGuard guard_;
};

}  // namespace prefer::ops
