// Training programs as several ranks under launch: the same bits or nearly, a rank that dies, resuming as
// another number.
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <fstream>
#include <sstream>
#include <thread>
#include <tuple>

namespace prefer::testing {
namespace {

using Clock = std::chrono::steady_clock;

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

const CommandLine kExact = {"team.exact=true", "team.slots=4"};

CommandLine operator+(CommandLine a, const CommandLine& b) {
  a.insert(a.end(), b.begin(), b.end());
  return a;
}

TEST_F(RanksProgram, ExactSumsEndInTheSameBytesOnOneTwoAndFourRanks) {
  const CommandLine with_all = kExact + CommandLine{"eval=" + tiny_.pairs,
                                                    "eval_every=7",
                                                    "kl.max_new_tokens=4",
                                                    "reference_logprobs=cached",
                                                    "samples.prompts=" + tiny_.prompts,
                                                    "samples.max_new_tokens=3"};
  train(1, "one", with_all);
  for (const int ranks : {2, 4}) {
    const std::string output = "ranks-" + std::to_string(ranks);
    train(ranks, output, with_all);
    EXPECT_TRUE(lasting_files(path(output), 20) == lasting_files(path("one"), 20)) << ranks;
    EXPECT_EQ(bytes(output + "/samples/step-20.jsonl"), bytes("one/samples/step-20.jsonl"));
    EXPECT_EQ(PosixFs().list(path(output)).size(),
              PosixFs().list(path("one")).size());  // one file of each kind
  }
}

/// A trainer on a few records of its own, for a few steps.
struct Short {
  std::string program;
  std::string records;
  std::string length;  ///< the key of how long it goes on
  int64_t last;        ///< and its value
  int64_t steps;       ///< that are one of those: several of a PPO iteration
  CommandLine arguments;
  std::string name() const { return program + "-" + records; }
};

class EveryTrainer : public RanksProgram {
 protected:
  std::vector<Short> trainers() const {
    std::vector<std::string> texts, judged, ranked;
    for (const char* letter : {"a", "b", "c", "d"}) {
      const Json prompt(std::string("do ") + letter), completion(std::string(" good ") + letter);
      texts.push_back(dump(Json::object({{"prompt", prompt}, {"completion", completion}})));
      judged.push_back(
          dump(Json::object({{"prompt", prompt}, {"completion", completion}, {"label", *letter < 'c'}})));
      ranked.push_back(dump(Json::object({{"prompt", prompt},
                                          {"answers", Json::array({completion, " bad", " so so"})},
                                          {"scores", Json::array({2, *letter - 'b', 0.5})}})));
    }
    const auto both = [](const std::string& file) { return CommandLine{"train=" + file, "eval=" + file}; };
    const CommandLine pairs = both(tiny_.pairs),
                      ppo = {"letter=a",           "response_length=4", "num_ppo_epochs=2",
                             "num_mini_batches=2", "kl_target=0.1",     "kl_horizon=20"};
    return {{"sft", "texts", "steps", 3, 1, both(file_of(tiny_.dir, "texts.jsonl", texts))},
            {"dpo", "pairs", "steps", 3, 1, pairs + CommandLine{"loss.name=aot", "kl.prompts=0"}},
            {"reward", "pairs", "steps", 3, 1, pairs},
            {"reward", "rankings", "steps", 3, 1,
             both(file_of(tiny_.dir, "ranked.jsonl", ranked)) + CommandLine{"loss.name=plackett_luce"}},
            {"kto", "answers", "steps", 3, 1,
             both(file_of(tiny_.dir, "judged.jsonl", judged)) +
                 CommandLine{"tokens_per_slot=20"}},  // several statistics
            {"own_reward", "prompts", "iterations", 2, 4, pairs + ppo},
            {"own_reward", "prompts in bfloat16", "iterations", 2, 4,
             pairs + ppo + CommandLine{"dtype=bfloat16", "value=shared", "num_generations=2"}}};
  }
  /// On so many ranks, from where `output` was left, until `length` is `last`. Returns what was said.
  std::string go_on(const Short& trainer, int ranks, const std::string& output, int64_t last) const {
    const CommandLine command = CommandLine{"n=" + std::to_string(ranks),
                                            "--",
                                            PREFER_BIN_DIR "/" + trainer.program,
                                            "model=" + tiny_.model,
                                            "output=" + path(output),
                                            trainer.length + "=" + std::to_string(last),
                                            "batch_size=4",
                                            "schedule.lr_scheduler_type=constant",
                                            "eval_every=1",
                                            "resume=true",
                                            "threads=1"} +
                                kExact + trainer.arguments;
    const Ran ran = run("launch", command);
    EXPECT_EQ(ran.code, 0) << output << ran.err;
    return ran.err;
  }
  void expect_same(const Short& trainer, const std::string& one, const std::string& other) const {
    const int64_t last = trainer.last * trainer.steps;
    EXPECT_TRUE(lasting_files(path(other), last) == lasting_files(path(one), last)) << other;
  }
};

TEST_F(EveryTrainer, EndsInTheSameBytesOnOneTwoAndFourRanksAndResumedAsAnotherNumber) {
  for (const Short& trainer : trainers()) {
    const auto output = [&](const char* how) { return trainer.name() + "-" + how; };
    const std::string one = output("1"), parts = output("parts");
    go_on(trainer, 1, one, trainer.last);
    for (const auto& [ranks, many] : {std::pair{2, output("2")}, {4, output("4")}}) {
      go_on(trainer, ranks, many, trainer.last);
      expect_same(trainer, one, many);
    }
    go_on(trainer, 2, parts, trainer.last - 1);
    const std::string said = go_on(trainer, 1, parts, trainer.last);
    const std::string middle = std::to_string((trainer.last - 1) * trainer.steps);
    EXPECT_NE(said.find("going on after step " + middle), std::string::npos) << said;
    expect_same(trainer, one, parts);
  }
}

/// The loss of each step, and its parts, within 1e-5 of those of one rank, relative; of PPO's policy loss,
/// whose terms cancel (docs/numerics.md), relative to the size of the terms, 1.
void expect_near(const std::vector<Json>& many, const std::vector<Json>& one, const std::string& what) {
  ASSERT_EQ(many.size(), 20U);
  ASSERT_EQ(one.size(), 20U);
  for (std::size_t i = 0; i < one.size(); ++i) {
    for (const auto& [name, value] : one[i].as_object()) {
      if (name != "loss" && !name.starts_with("loss/")) continue;
      const double loss = value.as_number(), size = name == "loss/policy_avg" ? 1 : std::abs(loss);
      EXPECT_NEAR(many[i].at(name).as_number(), loss, 1e-5 * size)
          << what << ", " << name << ", step " << i + 1;
    }
  }
}

TEST_F(RanksProgram, FastSumsOfEveryTrainerAgreeWithOneRankStepByStep) {
  std::vector<std::string> lines;
  for (const char* letter : {"a", "b", "c", "d", "e", "f", "g"})
    lines.push_back(dump(Json::object({{"prompt", std::string("do ") + letter},
                                       {"completion", std::string(" good ") + letter},
                                       {"label", *letter < 'd'}})));
  const std::string answers = file_of(tiny_.dir, "answers.jsonl", lines);
  const std::vector<std::pair<std::string, CommandLine>> programs = {
      {"dpo", {"train=" + tiny_.pairs, "steps=20"}},
      {"reward", {"train=" + tiny_.pairs, "steps=20"}},
      {"sft", {"train=" + answers, "steps=20"}},
      {"kto", {"train=" + answers, "steps=20"}},
      {"own_reward",  // the penalty makes the value loss, of which no terms cancel, outweigh the policy's
       {"letter=a", "train=" + tiny_.pairs, "iterations=5", "num_ppo_epochs=2", "num_mini_batches=2",
        "response_length=4", "missing_eos_penalty=1"}}};
  for (const auto& [program, arguments] : programs) {
    const auto train = [&](const std::string& ranks) {
      const std::string output = path(program + ranks);
      const Ran ran =
          run("launch", CommandLine{"n=" + ranks, "--", program, "model=" + tiny_.model, "output=" + output,
                                    "batch_size=6", "optimizer.learning_rate=1e-3", "threads=1"} +
                            arguments);
      EXPECT_EQ(ran.code, 0) << ran.err;
      return metrics(output);
    };
    const auto one = train("1");
    for (const char* ranks : {"2", "4"}) expect_near(train(ranks), one, program + " on " + ranks);
    EXPECT_LT(one.back().at("loss").as_number(), one.front().at("loss").as_number()) << program;
  }
}

TEST_F(RanksProgram, ResumesAsAnotherNumberOfRanksInTheSameBits) {
  const CommandLine every = kExact + CommandLine{"checkpoint.every=5", "resume=true"};
  train(1, "one", every);
  const auto part = [&](int ranks, const char* steps) { train(ranks, "parts", every + CommandLine{steps}); };
  part(2, "steps=5");
  part(4, "steps=9");
  part(1, "steps=14");
  part(3, "steps=20");
  EXPECT_TRUE(lasting_files(path("parts"), 20) == lasting_files(path("one"), 20));
}

TEST_F(RanksProgram, TheNumberOfSlotsStaysThatOfTheRunResumed) {
  const CommandLine resumable = {"resume=true"};
  train(3, "out", resumable + CommandLine{"steps=2"});
  train(2, "out", resumable + CommandLine{"steps=4"});
  const Json config = parse_json(bytes("out/config.json"), "config.json");
  EXPECT_EQ(config.at("team").at("slots").as_integer(), 3);
  const Ran other = run("launch", command(2, "out", resumable + CommandLine{"steps=6", "team.slots=2"}));
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("error: resume=true, but team.slots was 3 and is 2 since"), std::string::npos)
      << other.err;
}

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
  const std::string first = path("first"), second = path("second");
  const auto said = [&](const std::string& program) {
    const Ran ran = run("launch", {"n=1", "--", program, "--help"}, {{"PATH", first + ":" + second}});
    return ran.out.substr(0, ran.out.find('\n')) + ran.err;
  };
  EXPECT_EQ(said("none"), "error: there is no program none in PATH=" + first + ":" + second +
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
