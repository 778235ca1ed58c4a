// From a tensor's type and device to a twin of a kernel: the one place where ops choose.
#pragma once

#include "kernels/number.hpp"
#include "prefer/core/error.hpp"
#include "prefer/ops/device.hpp"
#include "prefer/tensor.hpp"

#include <initializer_list>
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
  static const int64_t* indices(const Tensor& t) {
    if (!t.is_contiguous())
      fail("a kernel wants indices without gaps, not ", t.sizes(), " with strides ", t.strides());
    return static_cast<const int64_t*>(t.const_data_ptr());
  }
};

/// The type in which a kernel sums: float for float and bf16, double for double.
inline at::ScalarType wide_type(at::ScalarType type) {
  return type == at::kDouble ? at::kDouble : at::kFloat;
}

/// Calls `body` with the Target of the first of `tensors`, its device the current one; what kernels throw
/// becomes Error with the op's name before it. A kernel reads raw addresses: all tensors that are defined
/// must lie on one device.
template <class Body>
void with_target(const char* op, std::initializer_list<Tensor> tensors, Body&& body) {
  const Tensor& t = *tensors.begin();
  for (const Tensor& other : tensors) {
    if (other.defined() && other.device() != t.device())
      fail(op, " wants tensors on one device, not ", t.device(), " and ", other.device());
  }
  const DeviceScope scope(t.device());
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
