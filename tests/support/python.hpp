// Python where it is: what transformers makes of the files that prefer writes.
#pragma once

#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "support/temp_dir.hpp"

#include <gtest/gtest.h>

#include <array>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>

namespace prefer::testing {

/// Standard output of a shell command, or nothing where it fails.
inline std::string output_of(const std::string& command) {
  std::string result;
  FILE* pipe = popen(command.c_str(), "r");
  if (pipe == nullptr) return "";
  std::array<char, 4096> part;
  while (const size_t n = fread(part.data(), 1, part.size(), pipe)) result.append(part.data(), n);
  return pclose(pipe) == 0 ? result : "";
}

/// PREFER_PYTHON, or what benchmarks/peers/setup.sh made, or the machine's.
inline std::string python() {
  if (const char* chosen = std::getenv("PREFER_PYTHON")) return chosen;
  const std::string peers = PREFER_SOURCE_DIR "/.deps/peers/bin/python";
  return std::filesystem::exists(peers) ? peers : "python3";
}

/// Skips the tests of a machine whose python has no transformers.
class WithTransformers : public ::testing::Test {
 protected:
  void SetUp() override {
    if (output_of(python() + " -c 'import torch, transformers; print(1)' 2>/dev/null").empty()) {
      GTEST_SKIP() << "needs a python that imports transformers: " << python()
                   << " does not (PREFER_PYTHON names another)";
    }
  }
  /// What a script of tests/ prints. Where it fails, the test does, with what it said.
  static Json run_script(const std::string& script, const std::string& arguments) {
    const TempDir dir;
    const std::string path = PREFER_SOURCE_DIR "/tests/" + script, said = dir / "stderr";
    const std::string printed = output_of(python() + " " + path + " " + arguments + " 2>" + said);
    if (printed.empty()) {
      PosixFs fs;
      fail(python(), " ", path, " failed: ", read_file(fs, said, 1 << 20));
    }
    return parse_json(printed, script);
  }
};

}  // namespace prefer::testing
