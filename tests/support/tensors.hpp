// Tensors of a safetensors file, for goldens.
#pragma once

#include "prefer/core/safetensors.hpp"
#include "prefer/tensor.hpp"

namespace prefer::testing {

/// All tensors of a file that holds F32, BF16 and I64 alone.
inline NamedTensors read_tensors(const std::string& path) {
  PosixFs fs;
  const SafetensorsFile file(fs, path);
  NamedTensors result;
  for (const StoredTensor& stored : file.tensors()) {
    const bool single = stored.type == StoredType::kF32, half = stored.type == StoredType::kBf16;
    if (!single && !half && stored.type != StoredType::kI64) fail(path, ": ", stored.name);
    const Tensor value = at::empty(stored.shape, single ? at::kFloat : half ? at::kBFloat16 : at::kLong);
    file.read(stored, {static_cast<std::byte*>(value.mutable_data_ptr()), value.nbytes()});
    result[stored.name] = value;
  }
  return result;
}

}  // namespace prefer::testing
