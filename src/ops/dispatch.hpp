// From a tensor's type and device to a twin of a kernel: the one place where ops choose.
#pragma once

#include "kernels/number.hpp"
#include "prefer/core/error.hpp"
#include "prefer/tensor.hpp"

#include <c10/core/impl/VirtualGuardImpl.h>

#include <type_traits>

namespace prefer::ops {

/// A kernel's element type and where the op runs.
template <class T>
struct Target {
  using Element = T;
  using Wide = kernels::Wide<T>;
  at::Device device;

  /// Raw data of a tensor of the element type; null for an undefined one.
  static const T* read(const Tensor& t) {
    return t.defined() ? static_cast<const T*>(t.const_data_ptr()) : nullptr;
  }
  static T* write(const Tensor& t) { return t.defined() ? static_cast<T*>(t.mutable_data_ptr()) : nullptr; }
  /// Raw data of a tensor of the wide type.
  static const Wide* read_wide(const Tensor& t) {
    return t.defined() ? static_cast<const Wide*>(t.const_data_ptr()) : nullptr;
  }
  static Wide* write_wide(const Tensor& t) {
    return t.defined() ? static_cast<Wide*>(t.mutable_data_ptr()) : nullptr;
  }
  static const int64_t* indices(const Tensor& t) { return static_cast<const int64_t*>(t.const_data_ptr()); }
};

/// The type in which a kernel sums: float for float and bf16, double for double.
inline at::ScalarType wide_type(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

/// The current stream of a CUDA device, null on the CPU.
inline void* stream_of(at::Device device) {
  if (!device.is_cuda()) return nullptr;
  return c10::impl::VirtualGuardImpl(device.type()).getStream(device).native_handle();
}

/// Calls `body` with the Target of `t`; what kernels throw becomes Error with the op's name
/// before it.
template <class Body>
void with_target(const char* op, const Tensor& t, Body&& body) {
  try {
    switch (t.scalar_type()) {
      case at::kFloat:
        return body(Target<float>{t.device()});
      case at::kBFloat16:
        return body(Target<kernels::bf16>{t.device()});
      case at::kDouble:
        if (t.device().is_cpu()) return body(Target<double>{t.device()});
        break;
      default:
        break;
    }
  } catch (const Error&) {
    throw;
  } catch (const std::invalid_argument& problem) {
    fail(op, ": ", problem.what());
  } catch (const std::runtime_error& problem) {
    fail(op, ": ", problem.what());
  }
  fail(op, " wants float, bfloat16, or double on the CPU, not ", t.scalar_type(), " on ", t.device());
}

}  // namespace prefer::ops

/// Runs `function` of the right twin of prefer::kernels::KERNEL on `args`: double has a reference twin alone.
#define PREFER_RUN_TWIN(target, kernel, function, args)                         \
  do {                                                                          \
    if constexpr (std::is_same_v<typename decltype(target)::Element, double>) { \
      prefer::kernels::kernel::reference::function(args);                       \
    } else if ((target).device.is_cuda()) {                                     \
      prefer::kernels::kernel::cuda::function(args);                            \
    } else {                                                                    \
      prefer::kernels::kernel::cpu::function(args);                             \
    }                                                                           \
  } while (false)
