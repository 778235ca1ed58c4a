// The whole table of malformed inputs.
#pragma once

#include "tests/malformed/config_cases.hpp"
#include "tests/malformed/data_cases.hpp"
#include "tests/malformed/demonstration_cases.hpp"
#include "tests/malformed/gguf_cases.hpp"
#include "tests/malformed/model_cases.hpp"
#include "tests/malformed/ranking_cases.hpp"
#include "tests/malformed/text_cases.hpp"

#include <filesystem>
#include <fstream>
#include <iterator>

namespace prefer::testing {

inline std::vector<Malformed> all_malformed() {
  std::vector<Malformed> all;
  for (const auto& part : {json_cases(), file_cases(), text_cases(), pair_cases(), demonstration_cases(),
                           ranking_cases(), config_file_cases(), override_cases(), model_config_cases(),
                           safetensors_cases(), index_cases(), gguf_header_cases(), gguf_tensor_cases(),
                           gguf_model_cases(), tokenizer_cases(), sentencepiece_cases(), template_cases()})
    all.insert(all.end(), part.begin(), part.end());
  return all;
}

/// Writes the good files, and those of the case over them.
inline void put_files(const Malformed& malformed, const std::string& folder) {
  Files files = good_files();
  for (const auto& [name, bytes] : malformed.files) files[name] = bytes;
  for (const auto& [name, bytes] : files) {
    const std::filesystem::path path = folder + "/" + name;
    if (name.ends_with('/')) {
      std::filesystem::create_directories(path);
    } else {
      std::filesystem::create_directories(path.parent_path());
      std::ofstream(path, std::ios::binary) << bytes;
    }
  }
}

/// All that stands below a folder: paths, and the bytes of files.
inline Files files_below(const std::string& folder) {
  Files found;
  for (const auto& entry : std::filesystem::recursive_directory_iterator(folder)) {
    std::ifstream file(entry.path(), std::ios::binary);
    found[entry.path()] =
        entry.is_regular_file() ? std::string{std::istreambuf_iterator<char>(file), {}} : "";
  }
  return found;
}

/// The name of a case in the list of tests.
inline void PrintTo(const Malformed& malformed, std::ostream* out) { *out << malformed.name; }

}  // namespace prefer::testing
