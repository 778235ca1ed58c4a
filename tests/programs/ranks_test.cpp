// Training programs as several ranks under launch: the same bits or nearly, also resumed as another number.
#include "tests/programs/ranks.hpp"

#include <cmath>
#include <tuple>

namespace prefer::testing {
namespace {

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
                      ppo = {"response_length=4", "num_ppo_epochs=2", "num_mini_batches=2", "kl_target=0.1",
                             "kl_horizon=20"},
                      letter = ppo + CommandLine{"letter=a"};
    const CommandLine base = {"model=" + tiny_.model, "train=" + tiny_.pairs, "output=" + path("scorer"),
                              "steps=2", "batch_size=7"};
    EXPECT_EQ(run("reward", base).code, 0);
    return {{"sft", "texts", "steps", 3, 1, both(file_of(tiny_.dir, "texts.jsonl", texts))},
            {"dpo", "pairs", "steps", 3, 1, pairs + CommandLine{"loss.name=aot", "kl.prompts=0"}},
            {"reward", "pairs", "steps", 3, 1, pairs},
            {"reward", "rankings", "steps", 3, 1,
             both(file_of(tiny_.dir, "ranked.jsonl", ranked)) + CommandLine{"loss.name=plackett_luce"}},
            {"kto", "answers", "steps", 3, 1,
             both(file_of(tiny_.dir, "judged.jsonl", judged)) +
                 CommandLine{"tokens_per_slot=20"}},  // several statistics
            {"own_reward", "prompts", "iterations", 2, 4, pairs + letter},
            {"ppo", "prompts", "iterations", 2, 4,
             pairs + ppo + CommandLine{"reward_model=" + path("scorer/model")}},
            {"own_reward", "prompts in bfloat16", "iterations", 2, 4,
             pairs + letter + CommandLine{"dtype=bfloat16", "value=shared", "num_generations=2"}}};
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

}  // namespace
}  // namespace prefer::testing
