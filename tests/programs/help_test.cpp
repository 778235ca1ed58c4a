// Every program's --help names every key, with its default, rule and meaning; and the programs of one's own
// run.
#include "support/data.hpp"
#include "support/program.hpp"
#include "tests/programs/dpo.hpp"

#include <algorithm>
#include <sstream>

namespace prefer::testing {
namespace {

/// The first word of each line of a help text, after its two lines of head.
std::vector<std::string> keys(const std::string& help) {
  std::vector<std::string> result;
  std::istringstream lines(help);
  for (std::string line; std::getline(lines, line);) {
    if (!line.empty()) result.push_back(line.substr(0, line.find(' ')));
  }
  return result;
}

void expect_keys(const std::string& program, const std::vector<std::string>& expected,
                 const std::string& behind = "") {
  const Ran ran = run(program, {"--help"});
  EXPECT_EQ(ran.code, 0);
  EXPECT_EQ(ran.err, "");
  EXPECT_TRUE(
      ran.out.starts_with("usage: " + program + " [config.json] [key.path=value ...]" + behind + "\n\n"))
      << ran.out;
  const std::vector<std::string> seen = keys(ran.out);
  for (const std::string& key : expected) {
    EXPECT_EQ(std::count(seen.begin(), seen.end(), key), 1) << program << ": " << key;
  }
}

/// The paths of all keys of a resolved config.
void collect(const Json& config, const std::string& prefix, std::vector<std::string>& paths) {
  for (const auto& [key, value] : config.as_object()) {
    if (value.is_object()) {
      collect(value, prefix + key + ".", paths);
    } else {
      paths.push_back(prefix + key);
    }
  }
}

TEST(Help, NamesEveryKeyOfTheSmallPrograms) {
  expect_keys("score", {"model", "text", "input", "specials", "dtype", "device", "threads"});
  expect_keys("tokenize",
              {"model", "text", "input", "specials", "add_generation_prompt", "device", "threads"});
  expect_keys("generate", {"model", "prompt", "input", "chat", "specials", "max_new_tokens", "temperature",
                           "top_p", "top_k", "n", "batch_size", "seed", "dtype", "device", "threads"});
  expect_keys("launch", {"n", "port", "all_output"}, " -- PROGRAM ARGUMENTS");
  expect_keys("own_loss", {"model", "train", "output", "loss.margin"});
  expect_keys("own_reward", {"letter", "model", "train", "output", "kl_coef"});
  expect_keys("own_model", {"steps", "batch_size", "optimizer.learning_rate", "threads"});
}

TEST(Help, NamesEveryKeyOfTheOtherTrainers) {
  expect_keys("sft", {"model", "train", "eval", "drop_overlap", "loss_on", "max_length", "append_eos",
                      "samples.prompts", "output", "steps", "batch_size", "optimizer.learning_rate",
                      "eval_every", "resume", "on_bad"});
  expect_keys("kto",
              {"model", "reference", "train", "eval", "drop_overlap", "loss.beta", "loss.desirable_weight",
               "loss.undesirable_weight", "max_length", "output", "steps", "batch_size"});
  expect_keys("reward",
              {"model", "train", "eval", "drop_overlap", "max_length", "loss.name", "loss.use_margin",
               "loss.center_rewards_coefficient", "output", "steps", "batch_size", "eval_every"});
}

TEST(Help, OfDpoNamesEveryKeyThatARunResolves) {
  expect_keys("dpo", {"model",
                      "reference",
                      "train",
                      "eval",
                      "output",
                      "seed",
                      "steps",
                      "epochs",
                      "batch_size",
                      "shuffle",
                      "dtype",
                      "max_length",
                      "loss.name",
                      "loss.gamma_beta_ratio",
                      "optimizer.learning_rate",
                      "checkpoint.every",
                      "checkpoint.keep",
                      "resume",
                      "on_bad",
                      "team.exact",
                      "team.slots",
                      "device",
                      "threads"});
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const Ran ran = run("dpo", dpo_command(pairs_file(dir), dir / "out", {"steps=1"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  PosixFs fs;
  std::vector<std::string> paths;
  collect(parse_json(read_file(fs, dir / "out/config.json", 1 << 20), "config.json"), "", paths);
  const std::vector<std::string> seen = keys(run("dpo", {"--help"}).out);
  for (const std::string& path : paths)
    EXPECT_NE(std::find(seen.begin(), seen.end(), path), seen.end()) << path;
  EXPECT_GT(paths.size(), 30U);
}

TEST(Help, OfPpoNamesEveryKnobOnce) {
  expect_keys("ppo", {"model",
                      "reference",
                      "train",
                      "eval",
                      "eval_samples",
                      "reward_model",
                      "lexicon",
                      "value",
                      "value_learning_rate_scale",
                      "iterations",
                      "batch_size",
                      "response_length",
                      "temperature",
                      "num_generations",
                      "num_ppo_epochs",
                      "num_mini_batches",
                      "local_rollout_forward_batch_size",
                      "missing_eos_penalty",
                      "missing_eos_score",
                      "score_clip",
                      "kl_coef",
                      "kl_target",
                      "kl_horizon",
                      "kl_estimator",
                      "whiten_rewards",
                      "whiten_advantages",
                      "gamma",
                      "lam",
                      "cliprange",
                      "cliprange_value",
                      "vf_coef",
                      "entropy_coef",
                      "optimizer.learning_rate",
                      "checkpoint.every",
                      "eval_every",
                      "resume"});
  const std::vector<std::string> seen = keys(run("ppo", {"--help"}).out);
  EXPECT_EQ(std::count(seen.begin(), seen.end(), "steps"), 0);
}

TEST(Help, EveryKeyHasAMeaning) {
  for (const char* program : {"dpo", "ppo", "kto", "sft", "reward", "generate", "score", "tokenize",
                              "quickstart", "own_loss", "own_reward", "own_model", "launch"}) {
    std::istringstream lines(run(program, {"--help"}).out);
    std::string line;
    std::getline(lines, line);
    std::getline(lines, line);
    std::getline(lines, line);
    const std::size_t meaning = line.find("meaning");
    ASSERT_NE(meaning, std::string::npos) << program;
    while (std::getline(lines, line)) EXPECT_GT(line.size(), meaning) << program << ": " << line;
  }
}

TEST(Quickstart, RefusesWhatWouldShapeOneMethodAlone) {
  const auto said = [](const char* word) { return run("quickstart", {word}).err; };
  EXPECT_TRUE(said("generate.temperature=0").starts_with("error: generate.temperature=0: "));
  for (const char* word : {"generate.top_p=0.9", "generate.top_k=5"})
    EXPECT_TRUE(said(word).starts_with("error: generate.top_p and generate.top_k would shape DPO's pairs"))
        << word;
}

TEST(OwnLoss, TrainsWithItsOwnKnobs) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const Ran ran = run("own_loss", dpo_command(pairs_file(dir), dir / "out", {"loss.margin=2"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::vector<Json> steps = metrics(dir / "out");
  EXPECT_EQ(steps.front().at("loss").as_number(),
            2.0);  // max(0, margin - 0) while policy and reference agree
  EXPECT_LT(steps.back().at("loss").as_number(), 1.8);
  PosixFs fs;
  const Json config = parse_json(read_file(fs, dir / "out/config.json", 1 << 20), "config.json");
  EXPECT_EQ(dump(config.at("loss")), R"({"name":"mine","beta":0.1,"margin":2.0})");
}

TEST(OwnModel, LearnsWhichLetterFollows) {
  const Ran ran = run("own_model", {"threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.out.find("before: loss 0.693147, accuracy 0.5\n"), std::string::npos) << ran.out;
  const std::size_t after = ran.out.find("after: loss ");
  ASSERT_NE(after, std::string::npos) << ran.out;
  EXPECT_LT(std::stod(ran.out.substr(after + 12)), 0.3) << ran.out;
  EXPECT_NE(ran.out.find("accuracy 1\n", after), std::string::npos) << ran.out;
}

}  // namespace
}  // namespace prefer::testing
