// Programs killed at random instants and at random calls of a save end in the bytes of a run left alone.
// PREFER_KILLS says how many (scripts/kills.sh), PREFER_SEED at which of the random instants.
#include "support/program.hpp"
#include "support/tiny_run.hpp"
#include "support/traced.hpp"
#include "tests/programs/dpo.hpp"

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <set>
#include <thread>

namespace prefer::testing {
namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

/// Where a kill landed, by what it left in the run's folder that was not there `before`.
std::string phase(const std::string& output, const std::set<std::string>& before) {
  PosixFs fs;
  bool any_checkpoint = false;
  for (const std::string& name : fs.list(output)) {
    any_checkpoint |= name.starts_with("checkpoint-");
    if (before.contains(name)) continue;
    if (name.starts_with(".tmp-"))
      return fs.exists(output + "/" + name + "/manifest.json") ? "save: before the rename"
                                                               : "save: files half written";
    if (name.starts_with(".trash-")) return "save: an old one half removed";
    if (name == "model.tmp") return "save: of the model";
  }
  return any_checkpoint ? "between saves" : "before the first save";
}

/// What the random instants follow from: told with the result, and taken again from PREFER_SEED.
unsigned chosen_seed() {
  const char* asked = std::getenv("PREFER_SEED");
  return asked ? static_cast<unsigned>(std::strtoul(asked, nullptr, 10)) : std::random_device()();
}

/// The calls between which a save differs from one cut short: what stands on the disk after a kill.
bool changes_the_disk(std::uint64_t call) {
  return call == SYS_fsync || call == SYS_rename || call == SYS_renameat2 || call == SYS_mkdir ||
         call == SYS_unlink || call == SYS_unlinkat || call == SYS_rmdir;
}

/// A program, what it is told beside what all are, and the number of its last checkpoint.
struct Killed {
  std::string program;
  CommandLine arguments;
  int64_t last;
};

class Kills : public ::testing::TestWithParam<Killed> {
 protected:
  CommandLine command(const std::string& output) const {
    CommandLine all = {"model=" + tiny_.model,
                       "train=" + tiny_.pairs,
                       "output=" + output,
                       "batch_size=3",
                       "checkpoint.every=1",
                       "checkpoint.keep=2",
                       "threads=1",
                       "resume=true",
                       "samples.prompts=" + tiny_.prompts,
                       "samples.max_new_tokens=3"};
    all.insert(all.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    return all;
  }
  std::string fresh_folder() {
    const std::string output = tiny_.dir / ("out-" + std::to_string(folders_++));
    PosixFs().make_directory(output);
    return output;
  }
  CommandLine words(const std::string& output) const {
    CommandLine words = command(output);
    words.insert(words.begin(), PREFER_BIN_DIR "/" + GetParam().program);
    return words;
  }

  /// A run left alone: how long it takes, what it ends in, and how many calls of it change the disk.
  void measure() {
    const std::string output = fresh_folder();
    const auto begin = Clock::now();
    const Ran ran = run(GetParam().program, command(output));
    took_ = Seconds(Clock::now() - begin).count();
    ASSERT_EQ(ran.code, 0) << ran.err;
    expected_ = lasting_files(output, GetParam().last);
    traced_ = trace(words(fresh_folder()), [&](std::uint64_t call) {
                calls_ += changes_the_disk(call);
                return false;
              }).has_value();
  }
  /// Starts the program, kills it within a save or at any instant, and says where the kill landed: "" where
  /// the program was done before.
  std::string kill_once(const std::string& output, bool within_a_save) {
    PosixFs fs;
    remove_all(fs, output + "/model.tmp");  // as only the end of a run does
    const std::vector<std::string> names = fs.list(output);
    const std::set<std::string> before(names.begin(), names.end());
    const int64_t newest = newest_checkpoint(fs, output);
    int code = 0;
    if (within_a_save) {
      int left = std::uniform_int_distribution<int>(1, calls_ / 2)(random_);
      code = trace(words(output), [&](std::uint64_t call) {
               return changes_the_disk(call) && --left == 0;
             }).value();
    } else {
      Program program(GetParam().program, command(output));
      std::this_thread::sleep_for(Seconds(std::uniform_real_distribution<double>(0, 0.7 * took_)(random_)));
      program.signal(SIGKILL);
      code = program.end().code;
    }
    EXPECT_TRUE(code == 0 || code == -SIGKILL) << code;
    EXPECT_GE(newest_checkpoint(fs, output), newest);
    return code == 0 ? "" : phase(output, before);
  }
  void expect_the_same(const std::string& output) {
    PosixFs fs;
    const int64_t newest = newest_checkpoint(fs, output);
    const Ran ran = run(GetParam().program, command(output));
    ASSERT_EQ(ran.code, 0) << ran.err;
    if (newest > 0) {
      ASSERT_NE(ran.err.find("going on after step " + std::to_string(newest) + " "), std::string::npos)
          << newest << ": " << ran.err;
    }
    ASSERT_EQ(lasting_files(output, GetParam().last), expected_);
    ++ended_;
  }

  TinyRun tiny_;
  unsigned seed_ = chosen_seed();
  std::mt19937 random_{seed_};
  double took_ = 0;
  int calls_ = 0;
  bool traced_ = false;  // where the system permits no tracing, no save is aimed at
  std::map<std::string, std::string> expected_;
  int folders_ = 0, ended_ = 0;
};

INSTANTIATE_TEST_SUITE_P(
    Programs, Kills,
    ::testing::Values(
        Killed{"dpo", {"steps=24"}, 24},
        Killed{"own_reward",  // killed in sampling as in updates: a save falls between two iterations
               {"letter=a", "iterations=12", "num_ppo_epochs=2", "response_length=8",
                "optimizer.learning_rate=1e-3", "kl_target=0.1", "kl_horizon=10"},
               24}),
    [](const auto& run) { return run.param.program; });

TEST_P(Kills, AtRandomInstantsLoseNothing) {
  const char* asked = std::getenv("PREFER_KILLS");
  const int kills = asked ? std::atoi(asked) : 15;  // of DPO and of PPO each
  SCOPED_TRACE("PREFER_SEED=" + std::to_string(seed_));
  ASSERT_NO_FATAL_FAILURE(measure());
  std::map<std::string, int> phases;
  int killed = 0, within = 0;
  std::string output = fresh_folder();
  for (int attempt = 0; killed < kills || (traced_ && 3 * within < killed); ++attempt) {
    ASSERT_LT(attempt, 4 * kills) << killed << " kills, " << within << " within a save";
    const std::string where = kill_once(output, traced_ && 5 * within < 2 * (killed + 1));
    if (!where.empty()) {
      ++killed;
      ++phases[where];
      within += where.starts_with("save");
    }
    if (where.empty() || random_() % 8 == 0) {
      ASSERT_NO_FATAL_FAILURE(expect_the_same(output));
      output = fresh_folder();
    }
  }
  ASSERT_NO_FATAL_FAILURE(expect_the_same(output));
  std::cout << killed << " kills, " << within << " within a save; " << ended_
            << " runs ended in the bytes of one left alone; PREFER_SEED=" << seed_ << "\n";
  for (const auto& [where, count] : phases) std::cout << "  " << count << " " << where << "\n";
  if (!traced_) GTEST_SKIP() << "this system permits no tracing: no kill was aimed at a save";
}

}  // namespace
}  // namespace prefer::testing
