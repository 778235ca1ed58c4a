// Every call of a run's file system fails, kills the process or is the last before a power cut; and real
// kills.
#include "support/error.hpp"
#include "support/faulty_fs.hpp"
#include "support/memory_fs.hpp"
#include "support/temp_dir.hpp"
#include "tests/train/session.hpp"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>

namespace prefer::testing {
namespace {

using Fault = FaultyFs::Fault;

/// A run of 12 steps whose file system has a fault at one call; `calls` is how many an undisturbed run makes.
class Crash : public ::testing::Test {
 protected:
  Crash() {
    FaultyFs counting(whole_);
    expected_ = Session(counting).run(false);
    calls_ = counting.calls();
    files_ = lasting_files(whole_);
  }
  /// What the run's end was: "", the Error's text, or "killed".
  std::string disturb(MemoryFs& fs, std::size_t call, Fault fault, int error_number = EIO) {
    FaultyFs faulty(fs);
    faulty.inject(call, fault, error_number);
    Session session(faulty);
    std::string end = "killed";
    try {
      end = error_of([&] { session.run(true); });
    } catch (const Killed&) {
    }
    promised_ = session.promised;
    return end;
  }
  void expect_resumes(MemoryFs& fs, std::size_t call) {
    Session session(fs);
    ASSERT_TRUE(same_bits(session.run(true), expected_)) << "call " << call;
    ASSERT_EQ(lasting_files(fs), files_) << "call " << call;
  }
  /// The step of the newest good checkpoint, or 0.
  static int64_t newest(MemoryFs fs) {
    Checkpoints checkpoints(fs, "out", {}, Session(fs).identity);
    Alone team;
    return checkpoints.open(true, 0, team);
  }

  MemoryFs whole_;
  NamedTensors expected_;
  std::size_t calls_ = 0;
  int64_t promised_ = 0;  ///< of the last disturbed run
  std::map<std::string, std::string> files_;
};

TEST_F(Crash, AnyCallMayFailAndTheRunIsContinued) {
  for (std::size_t call = 0; call < calls_; ++call) {
    MemoryFs fs;
    const std::string error = disturb(fs, call, Fault::fail, call % 2 == 0 ? EIO : ENOSPC);
    EXPECT_TRUE(error.empty() || error.find("could not") != std::string::npos) << call << ": " << error;
    EXPECT_EQ(fs.open_files(), 0U) << "call " << call;
    expect_resumes(fs, call);
  }
}

TEST_F(Crash, ShortWritesAreNoFault) {
  for (std::size_t call = 0; call < calls_; ++call) {
    MemoryFs fs;
    EXPECT_EQ(disturb(fs, call, Fault::short_write), "");
    ASSERT_EQ(lasting_files(fs), files_) << "call " << call;
  }
}

TEST_F(Crash, AKillBeforeOrAfterAnyCallChangesNothing) {
  for (std::size_t call = 0; call < calls_; ++call) {
    for (const Fault fault : {Fault::kill_before, Fault::kill_after}) {
      MemoryFs fs;
      const bool in_destructor =
          call + 2 >= calls_;  // the two metrics files close last, and swallow what is thrown
      EXPECT_EQ(disturb(fs, call, fault), in_destructor ? "" : "killed") << "call " << call;
      expect_resumes(fs, call);
    }
  }
}

TEST_F(Crash, AfterAPowerCutAtAnyCallTheLastCommittedCheckpointIsThere) {
  std::mt19937 random(1);
  for (std::size_t call = 0; call < calls_; ++call) {
    MemoryFs fs;
    disturb(fs, call, Fault::kill_after);
    for (const int kept_of_four : {0, 1, 3}) {
      MemoryFs after = fs.after_power_loss([&] { return static_cast<int>(random() % 4) < kept_of_four; });
      EXPECT_GE(newest(after), promised_) << "call " << call;
      expect_resumes(after, call);
    }
  }
}

/// A process that trains into `output`, a little slower than it could, until it is done or killed.
pid_t start(const std::string& output, int64_t steps) {
  const pid_t child = fork();
  if (child != 0) return child;
  at::set_num_threads(1);  // a forked process has no pool of threads
  PosixFs fs;
  Session session(fs);
  session.output = output;
  session.config.steps = steps;
  int code = 0;
  try {
    session.run(true);
  } catch (...) {
    code = 1;
  }
  _exit(code);
}

/// Waits for a child's end: its exit code, or minus the signal that ended it.
int end_of(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
}

TEST(Killed, RunsEndInTheSameBytesAsOneLeftAlone) {
  constexpr int64_t steps = 60;
  constexpr int kills = 40;
  const TempDir dir;
  PosixFs fs;
  const auto begin = std::chrono::steady_clock::now();
  ASSERT_EQ(end_of(start(dir / "alone", steps)), 0);
  const std::chrono::duration<double, std::micro> took = std::chrono::steady_clock::now() - begin;
  const auto expected = lasting_files(fs, dir / "alone", steps);

  std::mt19937 random(2);
  std::uniform_real_distribution<double> instant(0, 0.6 * took.count());
  int killed = 0, finished = 0, in_a_save = 0;
  while (killed < kills) {
    const std::string output = dir / std::to_string(finished);
    for (bool done = false; !done;) {
      const pid_t child = start(output, steps);
      usleep(static_cast<useconds_t>(instant(random)));
      kill(child, SIGKILL);
      const int end = end_of(child);
      ASSERT_TRUE(end == 0 || end == -SIGKILL) << end;
      done = end == 0;
      killed += !done;
      const auto left = fs.exists(output) ? fs.list(output) : std::vector<std::string>{};
      in_a_save += std::ranges::any_of(left, [](const std::string& name) { return name.starts_with(".t"); });
    }
    ASSERT_EQ(lasting_files(fs, output, steps), expected) << "after " << killed << " kills";
    ++finished;
  }
  RecordProperty("kills", killed);
  RecordProperty("kills_within_a_save", in_a_save);
  EXPECT_GT(in_a_save, 0);
}

}  // namespace
}  // namespace prefer::testing
