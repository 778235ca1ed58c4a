// Git LFS pointers: what a clone without Git LFS leaves in a large file's place.
#pragma once

#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"

#include <algorithm>
#include <span>
#include <string>
#include <string_view>

namespace prefer {

/// Throws Error where `bytes`, which the file at `path` begins with, are a pointer's.
inline void refuse_lfs_pointer(std::string_view bytes, const std::string& path) {
  if (bytes.starts_with("version https://git-lfs.github.com/spec/"))
    fail(path, ": is a Git LFS pointer, not the file: fetch it (git lfs pull)");
}

inline void refuse_lfs_pointer(const File& file) {
  std::string begin(std::min<std::uint64_t>(file.size(), 64), '\0');
  file.read(std::as_writable_bytes(std::span(begin)), 0);
  refuse_lfs_pointer(begin, file.path());
}

/// read_file of a part of a model, which may be such a pointer.
inline std::string read_model_file(Fs& fs, const std::string& path, std::uint64_t max_bytes) {
  std::string bytes = read_file(fs, path, max_bytes);
  refuse_lfs_pointer(bytes, path);
  return bytes;
}

}  // namespace prefer
