// Asks LibTorch for streams through the guard that a device makes known, so that no CUDA header is needed.
#include "prefer/ops/device.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

namespace prefer::ops {

void* stream_of(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

}  // namespace prefer::ops
