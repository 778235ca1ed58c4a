// Operations of LibTorch's that have no C++ function of their own.
#pragma once

#include "prefer/tensor.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>

// g++ 12 takes an empty optional<SymInt> that LibTorch's dispatcher moves for an uninitialised one.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace prefer {

/// The operation of a name, looked up once: keep it as a static. They have no gradient of LibTorch's: past
/// autograd they are not boxed.
template <class Signature>
class LibraryCall {
 public:
  explicit LibraryCall(const char* name)
      : operation_(c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>()) {}
  template <class... Arguments>
  auto operator()(Arguments&&... arguments) const {
    const at::AutoDispatchBelowAutograd past_autograd;
    return operation_.call(std::forward<Arguments>(arguments)...);
  }

 private:
  c10::TypedOperatorHandle<Signature> operation_;
};

}  // namespace prefer
