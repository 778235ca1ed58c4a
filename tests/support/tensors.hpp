// Tensors of a safetensors file, for goldens.
#pragma once

#include "prefer/core/safetensors.hpp"
#include "prefer/tensor.hpp"

namespace prefer::testing {

/// All tensors of a file that holds F32 and I64 alone.
inline NamedTensors read_tensors(const std::string& path) {
  PosixFs fs;
  const SafetensorsFile file(fs, path);
  NamedTensors result;
  for (const StoredTensor& stored : file.tensors()) {
    if (stored.type != StoredType::kF32 && stored.type != StoredType::kI64) fail(path, ": ", stored.name);
    const Tensor value = at::empty(stored.shape, stored.type == StoredType::kF32 ? at::kFloat : at::kLong);
    file.read(stored, {static_cast<std::byte*>(value.mutable_data_ptr()), value.nbytes()});
    result[stored.name] = value;
  }
  return result;
}

}  // namespace prefer::testing
