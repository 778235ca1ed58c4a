// Operations of LibTorch's that have no C++ function of their own.
#pragma once

#include "prefer/tensor.hpp"

#include <ATen/core/LegacyTypeDispatch.h>
#include <ATen/core/dispatch/Dispatcher.h>

// g++ 12 takes an empty optional<SymInt> that LibTorch's dispatcher moves for an uninitialised one.
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"

namespace prefer {

/// Calls the operation of that name. They have no gradient of LibTorch's: past autograd they are not boxed.
template <class Signature, class... Arguments>
auto library_call(const char* name, Arguments&&... arguments) {
  const at::AutoDispatchBelowAutograd past_autograd;
  return c10::Dispatcher::singleton().findSchemaOrThrow(name, "").typed<Signature>().call(
      std::forward<Arguments>(arguments)...);
}

}  // namespace prefer
