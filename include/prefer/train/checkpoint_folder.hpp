// One checkpoint on the disk: safetensors files and the manifest that vouches for every byte of them.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/tensor.hpp"

namespace prefer {

/// Writes the tensors to weights.safetensors (names `weights.*`), optimizer.safetensors (`optimizer.*`) and
/// state.safetensors (all others) in a new `folder`, then manifest.json: `about` and, of each file, size and
/// SHA-256; of each tensor its CRC-32C. Everything is on the disk when it returns, except the folder's own
/// name. Throws Error.
void write_checkpoint_folder(Fs& fs, const std::string& folder, Json about, const NamedTensors& tensors);

/// The manifest, after all files were read and found to be what it says. Throws Error, one line that names
/// the file and the place in it, otherwise.
Json checked_manifest(Fs& fs, const std::string& folder);

/// The names in the folder that are neither the manifest nor of a file it lists.
std::vector<std::string> unlisted_files(Fs& fs, const std::string& folder, const Json& manifest);

/// All tensors, on the CPU.
NamedTensors read_checkpoint_folder(Fs& fs, const std::string& folder);

}  // namespace prefer
