// The dpo program stopped and continued: it ends in the bytes of a run that was left alone.
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <chrono>
#include <thread>

namespace prefer::testing {
namespace {

class Resume : public ::testing::Test {
 protected:
  CommandLine command(const std::string& output, const CommandLine& more = {}) const {
    CommandLine all = {"model=" + tiny_.model,
                       "train=" + tiny_.pairs,
                       "output=" + tiny_.dir / output,
                       "steps=40",
                       "batch_size=3",
                       "schedule.lr_scheduler_type=constant",
                       "checkpoint.every=3",
                       "threads=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  /// Waits until the run has done `steps` steps.
  void await(const std::string& output, std::size_t steps) const {
    PosixFs fs;
    const std::string path = tiny_.dir / (output + "/metrics.jsonl");
    for (int i = 0; i < 20000 && (!fs.exists(path) || metrics(tiny_.dir / output).size() < steps); ++i) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
  }

  TinyRun tiny_;
};

TEST_F(Resume, ChainedStepByStepItEndsInTheSameBytes) {
  const CommandLine constant = {"checkpoint.every=0", "checkpoint.keep=1", "resume=true"};
  const auto with_steps = [&](int64_t steps) {
    CommandLine more = constant;
    more.push_back("steps=" + std::to_string(steps));
    return more;
  };
  ASSERT_EQ(run("dpo", command("alone", with_steps(6))).code, 0);
  for (int64_t steps = 1; steps <= 6; ++steps) {
    const Ran ran = run("dpo", command("chained", with_steps(steps)));
    ASSERT_EQ(ran.code, 0) << ran.err;
  }
  EXPECT_EQ(lasting_files(tiny_.dir / "chained", 6), lasting_files(tiny_.dir / "alone", 6));
}

TEST_F(Resume, OtherTrainersChainedStepByStepEndInTheSameBytesToo) {
  std::vector<std::string> texts, judged;
  for (const std::string letter : {"a", "b", "c", "d", "e"}) {
    Json text = Json::object({{"prompt", "do " + letter}, {"completion", " good " + letter}});
    texts.push_back(dump(text));
    judged.push_back(dump(text.set("label", letter < "d")));
  }
  const std::string demonstrations = file_of(tiny_.dir, "texts.jsonl", texts),
                    answers = file_of(tiny_.dir, "judged.jsonl", judged);
  const std::vector<std::tuple<std::string, std::string, CommandLine>> trainers = {
      {"sft", demonstrations, {}},
      {"reward", tiny_.pairs, {}},
      {"kto", answers, {"batch_size=4"}},
      {"dpo", tiny_.pairs, {"loss.name=aot", "kl.prompts=0"}}};
  for (const auto& [program, data, more] : trainers) {
    const auto with_steps = [&](int64_t steps) {
      CommandLine all{"train=" + data,     "eval=" + data, "checkpoint.every=0",
                      "checkpoint.keep=1", "resume=true",  "steps=" + std::to_string(steps)};
      all.insert(all.end(), more.begin(), more.end());
      return all;
    };
    const std::string alone = program + "_alone", chained = program + "_chained";
    ASSERT_EQ(run(program, command(alone, with_steps(3))).code, 0);
    for (int64_t steps = 1; steps <= 3; ++steps) {
      const Ran ran = run(program, command(chained, with_steps(steps)));
      ASSERT_EQ(ran.code, 0) << ran.err;
    }
    // An evaluation at each end of a chained run is more than the other measured.
    for (auto& [name, bytes] : lasting_files(tiny_.dir / chained, 3)) {
      if (name == "metrics.jsonl") continue;
      EXPECT_EQ(bytes, lasting_files(tiny_.dir / alone, 3).at(name)) << name;
    }
    const std::vector<Json> apart = metrics(tiny_.dir / chained), whole = metrics(tiny_.dir / alone);
    ASSERT_EQ(apart.size(), whole.size());
    for (std::size_t i = 0; i < whole.size(); ++i) {
      for (const auto& [name, value] : whole[i].as_object())
        EXPECT_EQ(dump(apart[i].at(name)), dump(value)) << program << ", " << name << ", step " << i + 1;
    }
  }
}

TEST_F(Resume, SignalsSaveAndExitWith128AndTheirNumber) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string output = "signal-" + std::to_string(signal);
    Program program("dpo", command(output, {"steps=100000", "checkpoint.every=0"}));
    await(output, 3);
    program.signal(signal);
    const Ran ran = program.end();
    ASSERT_EQ(ran.code, 128 + signal) << ran.err;
    const auto done = static_cast<int64_t>(metrics(tiny_.dir / output).size());
    PosixFs fs;
    EXPECT_TRUE(fs.exists(tiny_.dir / (output + "/checkpoint-" + std::to_string(done) + "/manifest.json")))
        << done;
    EXPECT_FALSE(fs.exists(tiny_.dir / (output + "/model")));
    EXPECT_NE(ran.err.find("stopped after step " + std::to_string(done)), std::string::npos) << ran.err;

    const CommandLine more = {"steps=" + std::to_string(done + 2), "checkpoint.every=0", "resume=true"};
    const Ran rest = run("dpo", command(output, more));
    ASSERT_EQ(rest.code, 0) << rest.err;
    EXPECT_EQ(metrics(tiny_.dir / output).size(), static_cast<std::size_t>(done + 2));
  }
}

TEST_F(Resume,
       SignalsThatComeTogetherAreOne) {  // as timeout and systemd send them, to a process and its group
  Program program("dpo", command("together", {"steps=100000", "checkpoint.every=0"}));
  await("together", 3);
  program.signal(SIGSTOP);
  program.signal(SIGHUP);
  program.signal(SIGTERM);
  program.signal(SIGCONT);
  const Ran ran = program.end();
  EXPECT_TRUE(ran.code == 128 + SIGHUP || ran.code == 128 + SIGTERM) << ran.code << ran.err;
  EXPECT_NE(ran.err.find("stopped after step"), std::string::npos) << ran.err;
}

TEST_F(Resume, FewerStepsThanWereDoneAreRefused) {
  ASSERT_EQ(run("dpo", command("fewer", {"steps=4"})).code, 0);
  const Ran ran = run("dpo", command("fewer", {"steps=3", "resume=true"}));
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(
      ran.err.substr(ran.err.find("error: ")),
      "error: output " + (tiny_.dir / "fewer") +
          " is after step 4 already, and step 3 is asked for as the last; give no less, or another output\n");
}

TEST_F(Resume, AFolderInUseByAnotherProcessIsRefused) {
  Program program("dpo", command("out", {"steps=100000"}));
  await("out", 3);
  for (const char* resume : {"resume=true", "resume=false"}) {
    const Ran other = run("dpo", command("out", {"steps=100000", resume}));
    EXPECT_EQ(other.code, 1);
    EXPECT_EQ(other.err,
              "error: output " + (tiny_.dir / "out") +
                  ": another process is at work in it; wait until it ends, or choose another folder\n");
  }
  program.signal(SIGTERM);
  EXPECT_EQ(program.end().code, 128 + SIGTERM);
}

TEST_F(Resume, WhatIsDoneStaysDone) {
  ASSERT_EQ(run("dpo", command("out", {"steps=4"})).code, 0);
  const auto before = lasting_files(tiny_.dir / "out", 4);
  const Ran again = run("dpo", command("out", {"steps=4", "resume=true"}));
  EXPECT_EQ(again.code, 0) << again.err;
  EXPECT_EQ(lasting_files(tiny_.dir / "out", 4), before);
}

}  // namespace
}  // namespace prefer::testing
