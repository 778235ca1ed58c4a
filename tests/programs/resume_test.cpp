// The dpo program killed, stopped and continued: it ends in the bytes of a run that was left alone.
#include "tests/programs/dpo.hpp"

#include <chrono>
#include <thread>

namespace prefer::testing {
namespace {

using Seconds = std::chrono::duration<double>;

class Resume : public ::testing::Test {
 protected:
  void SetUp() override {
    PREFER_NEEDS(stories260k());
    pairs_ = pairs_file(dir_);
  }
  CommandLine command(const std::string& output, const CommandLine& more = {}) const {
    CommandLine all = dpo_command(pairs_, dir_ / output, {"steps=40", "shuffle=true", "checkpoint.every=3"});
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// Waits until the run has done `steps` steps.
  void await(const std::string& output, std::size_t steps) const {
    PosixFs fs;
    const std::string path = dir_ / (output + "/metrics.jsonl");
    for (int i = 0; i < 20000 && (!fs.exists(path) || metrics(dir_ / output).size() < steps); ++i) {
      std::this_thread::sleep_for(Seconds(0.001));
    }
  }

  TempDir dir_;
  std::string pairs_;
};

TEST_F(Resume, AfterKillsAtAnyInstantEndsInTheSameBytes) {
  const auto begin = std::chrono::steady_clock::now();
  const Ran alone = run("dpo", command("alone", {"steps=100"}));
  const Seconds took = std::chrono::steady_clock::now() - begin;
  ASSERT_EQ(alone.code, 0) << alone.err;
  const auto expected = lasting_files(dir_ / "alone", 100);

  const CommandLine continued = command("killed", {"steps=100", "resume=true"});
  int killed = 0;
  for (const double instant : {0.20, 0.25, 0.18, 0.30, 0.22, 0.28}) {
    Program program("dpo", continued);
    std::this_thread::sleep_for(instant * took);
    program.signal(SIGKILL);
    killed += program.end().code == -SIGKILL;
  }
  const Ran last = run("dpo", continued);
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_EQ(lasting_files(dir_ / "killed", 100), expected);
  EXPECT_NE(last.err.find("going on after step "), std::string::npos) << last.err;
  RecordProperty("kills", killed);
  EXPECT_GE(killed, 3);
}

TEST_F(Resume, KilledBetweenTwoSavesGoesOnFromTheOlder) {
  ASSERT_EQ(run("dpo", command("alone")).code, 0);
  for (const std::size_t step : {4, 17, 38}) {
    Program program("dpo", command("killed", {"resume=true"}));
    await("killed", step);
    program.signal(SIGKILL);
    EXPECT_EQ(program.end().code, -SIGKILL) << "at step " << step;
  }
  const Ran last = run("dpo", command("killed", {"resume=true"}));
  ASSERT_EQ(last.code, 0) << last.err;
  EXPECT_NE(last.err.find("going on after step "), std::string::npos) << last.err;
  EXPECT_EQ(lasting_files(dir_ / "killed", 40), lasting_files(dir_ / "alone", 40));
}

TEST_F(Resume, SignalsSaveAndExitWithZero) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string output = "signal-" + std::to_string(signal);
    Program program("dpo", command(output, {"steps=100000", "checkpoint.every=0"}));
    await(output, 3);
    program.signal(signal);
    const Ran ran = program.end();
    ASSERT_EQ(ran.code, 0) << ran.err;
    const auto done = static_cast<int64_t>(metrics(dir_ / output).size());
    PosixFs fs;
    EXPECT_TRUE(fs.exists(dir_ / (output + "/checkpoint-" + std::to_string(done) + "/manifest.json")))
        << done;
    EXPECT_FALSE(fs.exists(dir_ / (output + "/model")));
    EXPECT_NE(ran.err.find("stopped after step " + std::to_string(done)), std::string::npos) << ran.err;

    const CommandLine more = {"steps=" + std::to_string(done + 2), "checkpoint.every=0", "resume=true"};
    const Ran rest = run("dpo", command(output, more));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(metrics(dir_ / output).size(), static_cast<std::size_t>(done + 2));
  }
}

TEST_F(Resume, WhatIsDoneStaysDone) {
  ASSERT_EQ(run("dpo", command("out", {"steps=4"})).code, 0);
  const auto before = lasting_files(dir_ / "out", 4);
  const Ran again = run("dpo", command("out", {"steps=4", "resume=true"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(lasting_files(dir_ / "out", 4), before);
}

}  // namespace
}  // namespace prefer::testing
