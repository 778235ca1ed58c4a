// What is said where a path is asked for as a model and is none.
#pragma once

#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/lfs.hpp"

#include <algorithm>
#include <cctype>
#include <string>

namespace prefer {

/// Whether a path that is not there may be a model's name on the hub: OWNER/NAME, and no folder OWNER here.
inline bool is_hub_name(Fs& fs, const std::string& path) {
  const auto plain = [](unsigned char c) { return std::isalnum(c) || c == '-' || c == '_' || c == '.'; };
  const std::size_t slash = path.find('/');
  if (slash == std::string::npos || slash == 0 || slash + 1 == path.size() || path.front() == '.')
    return false;
  const std::string owner = path.substr(0, slash), name = path.substr(slash + 1);
  return std::ranges::all_of(owner, plain) && std::ranges::all_of(name, plain) && !fs.exists(owner);
}

/// Throws Error; `more` is what else would do.
[[noreturn]] inline void no_such_model(Fs& fs, const std::string& path, const char* more = "") {
  fail(path, ": no such file or folder; a model is a Hugging Face folder or a .gguf file", more,
       is_hub_name(fs, path) ? "; prefer downloads nothing: fetch it first (hf download " + path +
                                   " --local-dir FOLDER) and give the folder"
                             : "");
}

/// Throws Error: the file at `path`, which is no GGUF, is at most a part of a model.
[[noreturn]] inline void refuse_a_file(Fs& fs, const std::string& path) {
  refuse_lfs_pointer(File::open(fs, path));
  fail(path, ": is one file; a model is a Hugging Face folder or a .gguf file, and this lies in the folder ",
       parent_directory(path));
}

/// Throws Error where `folder` is one of a run, of which the model is a part.
inline void refuse_a_runs_folder(Fs& fs, const std::string& folder) {
  if (fs.exists(join_path(folder, "manifest.json")) && !fs.exists(join_path(folder, "config.json")))
    fail(folder,
         ": is a checkpoint, from which a run goes on; the model that a run ends with is OUTPUT/model");
  const std::string model = join_path(folder, "model");
  const bool weights = std::ranges::any_of(
      fs.list(folder), [](const std::string& name) { return name.ends_with(".safetensors"); });
  if (!weights && fs.exists(join_path(model, "config.json")))
    fail(folder, ": is a run's folder; its model is ", model);
}

}  // namespace prefer
