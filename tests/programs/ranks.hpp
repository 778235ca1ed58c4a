// What the tests of programs as several ranks under launch share.
#pragma once

#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <chrono>
#include <thread>

namespace prefer::testing {

class RanksProgram : public ::testing::Test {
 protected:
  /// What stands behind `launch` for so many ranks of dpo.
  CommandLine command(int ranks, const std::string& output, const CommandLine& more = {}) const {
    CommandLine all = {"n=" + std::to_string(ranks),
                       "--",
                       PREFER_BIN_DIR "/dpo",
                       "model=" + tiny_.model,
                       "train=" + tiny_.pairs,
                       "output=" + tiny_.dir / output,
                       "steps=20",
                       "batch_size=6",
                       "optimizer.learning_rate=1e-3",
                       "schedule.lr_scheduler_type=constant",
                       "threads=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  void train(int ranks, const std::string& output, const CommandLine& more = {}) const {
    const Ran ran = run("launch", command(ranks, output, more));
    ASSERT_EQ(ran.code, 0) << ran.err;
  }
  std::string path(const std::string& name) const { return tiny_.dir / name; }
  std::string bytes(const std::string& name) const {
    PosixFs fs;
    return read_file(fs, path(name), 1 << 28);
  }
  /// Waits until the run in `output` has done so many steps.
  void await(const std::string& output, std::size_t steps) const {
    PosixFs fs;
    const std::string file = path(output + "/metrics.jsonl");
    for (int i = 0; i < 30000 && (!fs.exists(file) || metrics(path(output)).size() < steps); ++i)
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }

  TinyRun tiny_;
};

inline const CommandLine kExact = {"team.exact=true", "team.slots=4"};

inline CommandLine operator+(CommandLine a, const CommandLine& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

}  // namespace prefer::testing
