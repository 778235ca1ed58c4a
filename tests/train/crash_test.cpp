// Every call of a run's file system fails, kills the process or is the last before a power cut.
#include "support/error.hpp"
#include "support/faulty_fs.hpp"
#include "support/memory_fs.hpp"
#include "tests/train/session.hpp"

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
    if (fault == Fault::kill_before || fault == Fault::kill_after) fs.end_process();
    hit_ = faulty.hit();
    promised_ = session.promised;
    return end;
  }
  /// The error names the file, the reason, and where there was no space how much was wanted.
  void expect_told(const std::string& end, int error) const {
    const std::string path = hit_.substr(hit_.rfind(' ') + 1);
    EXPECT_NE(end.find(path + ": could not "), std::string::npos) << hit_ << ": " << end;
    EXPECT_NE(end.find(": " + std::generic_category().message(error)), std::string::npos)
        << hit_ << ": " << end;
    if (error != EIO && hit_.starts_with("write")) {
      EXPECT_NE(end.find(" were wanted, and 1099.5 GB are free"), std::string::npos) << end;
    }
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
  std::string hit_;       ///< its faulty call
  std::map<std::string, std::string> files_;
};

TEST_F(Crash, AnyCallMayFailAndTheRunIsContinued) {
  for (std::size_t call = 0; call < calls_; ++call) {
    for (const int error : {EIO, ENOSPC, EDQUOT}) {
      MemoryFs fs;
      const std::string end = disturb(fs, call, Fault::fail, error);
      if (end.empty()) {  // only what was in the way, or a file that was closed at the end
        EXPECT_EQ(lasting_files(fs), files_) << hit_;
      } else {
        expect_told(end, error);
      }
      EXPECT_EQ(fs.open_files(), 0U) << hit_;
      EXPECT_GE(newest(fs), promised_) << hit_;
      expect_resumes(fs, call);
    }
  }
}

TEST_F(Crash, ADiskThatStaysFullLeavesTheLastCheckpoint) {
  for (std::size_t call = 0; call < calls_; ++call) {
    MemoryFs fs;
    disturb(fs, call, Fault::full, ENOSPC);
    EXPECT_GE(newest(fs), promised_) << hit_;
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
          call + 3 >= calls_;  // two metrics files and the lock close last, and swallow what is thrown
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

}  // namespace
}  // namespace prefer::testing
