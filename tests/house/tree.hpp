// The project's own source files as lines of text, for the tests of the house rules.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <regex>
#include <string>
#include <vector>

namespace prefer::house {

struct SourceFile {
  std::string path;  ///< relative to the root of the project, with forward slashes
  std::vector<std::string> lines;
};

/// What a file includes: the name, and whether it stands in quotes.
struct Include {
  std::string name;
  bool quoted = false;
};

inline bool starts_with_any(const std::string& text, const std::vector<std::string>& prefixes) {
  return std::any_of(prefixes.begin(), prefixes.end(),
                     [&](const std::string& p) { return text.starts_with(p); });
}

inline bool is_cpp(const std::filesystem::path& path) {
  static const std::vector<std::string> known = {".hpp", ".cpp", ".cu", ".cuh", ".inl"};
  return std::find(known.begin(), known.end(), path.extension().string()) != known.end();
}

/// Every C++ and CUDA file under the given folders of `root`, in the order of their paths. A missing folder
/// is empty.
inline std::vector<SourceFile> read_tree(const std::filesystem::path& root,
                                         const std::vector<std::string>& folders) {
  std::vector<SourceFile> files;
  for (const std::string& folder : folders) {
    if (!std::filesystem::exists(root / folder)) continue;
    for (const auto& entry : std::filesystem::recursive_directory_iterator(root / folder)) {
      if (!entry.is_regular_file() || !is_cpp(entry.path())) continue;
      SourceFile file{std::filesystem::relative(entry.path(), root).generic_string(), {}};
      std::ifstream in(entry.path());
      for (std::string line; std::getline(in, line);) file.lines.push_back(line);
      files.push_back(std::move(file));
    }
  }
  std::sort(files.begin(), files.end(), [](const auto& a, const auto& b) { return a.path < b.path; });
  return files;
}

inline std::vector<Include> includes_of(const SourceFile& file) {
  static const std::regex directive(R"rx(^\s*#\s*include\s*(["<])([^">]+)[">])rx");
  std::vector<Include> found;
  for (const std::string& line : file.lines) {
    std::smatch match;
    if (std::regex_search(line, match, directive)) found.push_back({match[2], match[1] == "\""});
  }
  return found;
}

}  // namespace prefer::house
