// The tiny models of each family, and odd variants of them, that transformers made
// (tests/golden/make_llama.py).
#pragma once

#include "support/data.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <vector>

namespace prefer::testing {

/// Names of the folders in tests/golden/llama, sorted.
inline std::vector<std::string> golden_models() {
  std::vector<std::string> names;
  for (const auto& entry : std::filesystem::directory_iterator(golden("llama"))) {
    if (entry.is_directory()) names.push_back(entry.path().filename());
  }
  std::ranges::sort(names);
  return names;
}

/// As a test's parameter is called.
inline std::string test_name(std::string name) {
  std::ranges::replace(name, '-', '_');
  return name;
}

}  // namespace prefer::testing
