// How ranks under launch end: one is killed, a signal comes, an error is of one or of all.
#include "tests/programs/ranks.hpp"

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <sstream>

namespace prefer::testing {
namespace {

using Clock = std::chrono::steady_clock;

/// The processes that a process has started.
std::vector<pid_t> children_of(pid_t process) {
  std::ifstream list("/proc/" + std::to_string(process) + "/task/" + std::to_string(process) + "/children");
  std::vector<pid_t> children;
  for (pid_t child = 0; list >> child;) children.push_back(child);
  return children;
}

int lines_with(const std::string& text, const std::string& word) {
  std::istringstream lines(text);
  int count = 0;
  for (std::string line; std::getline(lines, line);) count += line.find(word) != std::string::npos;
  return count;
}

TEST_F(RanksProgram, WhereOneIsKilledAllLeaveAndOneLineNamesItAndItsStepAndTheRunGoesOnInItsBits) {
  const CommandLine every = kExact + CommandLine{"checkpoint.every=10", "resume=true"};
  const std::vector<std::string> outputs = {"out-0", "out-1", "out-2"};
  std::size_t longest = 0;  // in steps
  for (std::size_t victim = 0; victim < outputs.size(); ++victim) {
    Program program("launch", command(3, outputs[victim], every + CommandLine{"steps=1000000"}));
    await(outputs[victim], 12);
    const std::vector<pid_t> ranks = children_of(program.id());
    ASSERT_EQ(ranks.size(), 3U) << program.written("err");
    const auto begin = Clock::now();
    kill(ranks[victim], SIGKILL);
    const Ran ran = program.end();
    EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
    EXPECT_EQ(ran.code, 128 + SIGKILL);
    for (const pid_t rank : ranks) EXPECT_NE(kill(rank, 0), 0) << "rank " << rank << " is still there";
    EXPECT_EQ(lines_with(ran.err, "error: "), 1) << ran.err;
    EXPECT_EQ(lines_with(ran.err, "error: rank " + std::to_string(victim) + ", step "), 1) << ran.err;
    EXPECT_EQ(lines_with(ran.err, ": ended by signal 9 (Killed)"), 1) << ran.err;
    longest = std::max(longest, metrics(path(outputs[victim])).size());
  }
  const auto steps = static_cast<int64_t>(longest) + 3;
  const auto finish = [&](int ranks, const std::string& output) {
    train(ranks, output, every + CommandLine{"steps=" + std::to_string(steps)});
    return lasting_files(path(output), steps);
  };
  const auto expected = finish(1, "undisturbed");
  for (const std::string& output : outputs) EXPECT_TRUE(finish(2, output) == expected) << output;
}

TEST_F(RanksProgram, WhereOneIsKilledInARolloutAllLeaveToo) {
  // Nearly all of the time goes into answers.
  Program program("launch", {"n=2", "--", PREFER_BIN_DIR "/own_reward", "letter=a", "model=" + tiny_.model,
                             "train=" + tiny_.pairs, "output=" + path("out"), "iterations=100000",
                             "batch_size=6", "num_generations=40", "response_length=8", "num_ppo_epochs=1",
                             "num_mini_batches=1", "threads=1"});
  await("out", 2);
  const std::vector<pid_t> ranks = children_of(program.id());
  ASSERT_EQ(ranks.size(), 2U) << program.written("err");
  const auto begin = Clock::now();
  kill(ranks[1], SIGKILL);
  const Ran ran = program.end();
  EXPECT_LT(Clock::now() - begin, std::chrono::seconds(5));
  EXPECT_EQ(ran.code, 128 + SIGKILL);
  for (const pid_t rank : ranks) EXPECT_NE(kill(rank, 0), 0) << "rank " << rank << " is still there";
  EXPECT_EQ(lines_with(ran.err, "error: "), 1) << ran.err;
  EXPECT_EQ(lines_with(ran.err, "error: rank 1, step "), 1) << ran.err;
}

TEST_F(RanksProgram, ASignalStopsAllAfterASave) {
  Program program("launch", command(2, "out", {"steps=1000000", "schedule.lr_scheduler_type=constant"}));
  await("out", 3);
  program.signal(SIGTERM);
  const Ran ran = program.end();
  EXPECT_EQ(ran.code, 128 + SIGTERM) << ran.err;
  EXPECT_EQ(lines_with(ran.err, "error: "), 0) << ran.err;
  const std::string done = std::to_string(metrics(path("out")).size());
  EXPECT_NE(ran.err.find("stopped after step " + done + "; resume=true goes on from there"),
            std::string::npos);
  EXPECT_TRUE(PosixFs().exists(path("out/checkpoint-" + done + "/manifest.json")));
}

TEST_F(RanksProgram, AnErrorOfAllIsSaidOnceAndOneOfARankWithItsNumber) {
  const Ran wrong = run("launch", command(3, "out", {"loss.betta=1"}));
  EXPECT_EQ(wrong.code, 1);
  EXPECT_EQ(lines_with(wrong.err, "error: "), 1) << wrong.err;
  EXPECT_NE(wrong.err.find("error: loss.betta=1: "), std::string::npos) << wrong.err;

  const Ran missing = run("launch", {"n=2", "--", "/no/such/program"});
  EXPECT_EQ(missing.code, 127);
  EXPECT_EQ(missing.err, "error: could not start /no/such/program: No such file or directory\n");

  const Ran one = run("launch", {"n=2", "--", "sh", "-c",
                                 "if [ $RANK = 1 ]; then echo 'error: not me' >&2; exit 3; fi; sleep 100"});
  EXPECT_EQ(one.code, 3);
  EXPECT_EQ(one.err, "error: rank 1, starting: not me\n");

  const Ran paused = run("launch", {"n=2", "--", "sh", "-c", "exit 75"});  // as a hook's pause does
  EXPECT_EQ(paused.code, 75);
  EXPECT_EQ(paused.err, "");

  const Ran lone = run("launch", {"n=2", "--", PREFER_BIN_DIR "/score", "model=" + tiny_.model, "text=do a"});
  EXPECT_EQ(lone.code, 1);
  EXPECT_NE(lone.err.find("error: score is one process, not 2 ranks"), std::string::npos) << lone.err;

  const Ran said =
      run("launch", {"n=2", "all_output=true", "--", "sh", "-c", "echo hello $RANK of $WORLD_SIZE >&2"});
  EXPECT_EQ(said.code, 0);
  EXPECT_EQ(lines_with(said.err, "[1] hello 1 of 2"), 1) << said.err;
  EXPECT_EQ(run("launch", {"n=2", "--", "sh", "-c", "echo hello $RANK >&2"}).err, "hello 0\n");
  EXPECT_EQ(run("launch", {"n=2"}).err,
            "error: launch wants the program behind --: launch n=2 -- PROGRAM ARGUMENTS\n");
  EXPECT_EQ(
      run("launch", {"n=2", "dpo", "model=x"}).err,
      "error: \"dpo\" is neither key.path=value nor the first argument, the config file; the program stands "
      "behind --: launch n=2 -- PROGRAM ARGUMENTS\n");
}

TEST_F(RanksProgram, AProgramNamedWithoutAFolderIsThatOfPathOrTheOneBesideLaunch) {
  const std::string loop = path("loop");
  std::filesystem::create_symlink("loop", loop);  // a folder that cannot be looked into is passed over
  const std::string first = path("first"), second = path("second");
  const std::string all = loop + ":" + first + ":" + second;
  const auto said = [&](const std::string& program) {
    const Ran ran = run("launch", {"n=1", "--", program, "--help"}, {{"PATH", all}});
    return ran.out.substr(0, ran.out.find('\n')) + ran.err;
  };
  EXPECT_EQ(said("none"), "error: there is no program none in PATH=" + all +
                              ", and none beside " PREFER_BIN_DIR "/launch\n");
  std::filesystem::create_directories(first + "/tokenize");  // a folder is no program,
  std::filesystem::create_directory(second);
  file_of(tiny_.dir, "second/tokenize", {"#!/bin/sh", "echo mine"});  // nor is what may not be run
  const std::string help = run("tokenize", {"--help"}).out;
  EXPECT_EQ(said("tokenize"), help.substr(0, help.find('\n')));
  std::filesystem::permissions(second + "/tokenize", std::filesystem::perms::owner_all);
  EXPECT_EQ(said("tokenize"), "mine");
}

TEST_F(RanksProgram, APlaceThatCannotBeIsRefusedInOneLine) {
  const auto said = [&](const std::string& variables) {
    const std::string dpo = std::string(PREFER_BIN_DIR) + "/dpo model=" + tiny_.model +
                            " train=" + tiny_.pairs + " output=" + path("out");
    const Ran ran = run("launch", {"n=1", "--", "sh", "-c", variables + " exec " + dpo});
    EXPECT_EQ(ran.code, 1);
    return ran.err;
  };
  EXPECT_EQ(said("RANK=2 WORLD_SIZE=2"),
            "error: RANK=2 wants to be below WORLD_SIZE=2: ranks count from 0\n");
  EXPECT_EQ(said("RANK=1 WORLD_SIZE=2 MASTER_ADDR="),
            "error: WORLD_SIZE=2 wants MASTER_ADDR, the host of rank 0, and it is not set\n");
}

TEST_F(RanksProgram, RanksThatAreNotAlikeAreRefusedAndNamed) {
  const std::string others =
      file_of(tiny_.dir, "others.jsonl", {R"({"prompt": "do h", "chosen": " good", "rejected": " bad"})"});
  const auto said = [&](const std::string& of_first, const std::string& of_second) {
    CommandLine words = command(2, "out");
    std::string line;
    for (std::size_t i = 2; i < words.size(); ++i) line += words[i] + " ";
    const std::string own = "if [ $RANK = 1 ]; then own=" + of_second + "; else own=" + of_first + "; fi; ";
    const Ran ran = run("launch", {"n=2", "--", "sh", "-c", own + "exec " + line + "$own"});
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(lines_with(ran.err, "error: "), 1) << ran.err;
    return ran.err.substr(ran.err.find("error: "));
  };
  EXPECT_EQ(said("loss.beta=0.1", "loss.beta=0.2"),
            "error: rank 1 is of another run than rank 0: config.loss.beta is 0.1 and 0.2\n");
  EXPECT_EQ(said("steps=20", "steps=21"),
            "error: rank 1 is of another run than rank 0: config.steps is 20 and 21\n");
  EXPECT_TRUE(said("train=" + tiny_.pairs, "train=" + others)
                  .starts_with("error: rank 1 is of another run than rank 0: inputs.train is "));
}

TEST_F(RanksProgram, AFolderThatIsInUseIsRefusedByAll) {
  train(1, "out", {"steps=1"});
  const Ran ran = run("launch", command(3, "out"));
  EXPECT_EQ(ran.code, 1);
  EXPECT_EQ(lines_with(ran.err, "error: output " + path("out") + " is in use"), 1) << ran.err;
  EXPECT_EQ(lines_with(ran.err, "error: "), 1) << ran.err;
}

}  // namespace
}  // namespace prefer::testing
