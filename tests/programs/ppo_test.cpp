// The ppo programs: rewards rise, knobs are read, what changes no result changes no bit, and runs go on where
// they stopped.
#include "support/invariance.hpp"
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <cmath>

namespace prefer::testing {
namespace {

class Ppo : public ::testing::Test {
 protected:
  /// own_reward on the tiny model, for more of the letter a.
  CommandLine command(const std::string& output, const CommandLine& more = {}) const {
    CommandLine all = {"model=" + tiny_.model,
                       "train=" + tiny_.pairs,
                       "output=" + tiny_.dir / output,
                       "letter=a",
                       "iterations=6",
                       "batch_size=8",
                       "num_generations=2",
                       "response_length=8",
                       "num_ppo_epochs=2",
                       "temperature=1",
                       "num_mini_batches=2",
                       "optimizer.learning_rate=3e-3",
                       "checkpoint.every=2",
                       "schedule.lr_scheduler_type=constant",
                       "threads=1"};
    all.insert(all.end(), more.begin(), more.end());
    return all;
  }
  std::vector<Json> metrics_of(const std::string& output, const CommandLine& more = {}) const {
    const Ran ran = run("own_reward", command(output, more));
    EXPECT_EQ(ran.code, 0) << ran.err;
    return metrics(tiny_.dir / output);
  }
  std::string metrics_text(const std::string& output) const {
    PosixFs fs;
    return read_file(fs, tiny_.dir / (output + "/metrics.jsonl"), 1 << 24);
  }

  TinyRun tiny_;
};

TEST_F(Ppo, ItsRewardRisesWithEachKindOfValueModelAndItsMetricsHaveTrlsNames) {
  for (const std::string value : {"own", "shared"}) {
    const auto steps = metrics_of(value, {"value=" + value, "iterations=40", "kl_coef=0.01"});
    ASSERT_EQ(steps.size(), 160u);
    const auto mean = [&](std::size_t first) {
      double sum = 0;
      for (std::size_t i = 0; i < 20; ++i) sum += steps[first + i].at("objective/scores").as_number() / 20;
      return sum;
    };
    EXPECT_GT(mean(140), mean(0) + 0.2) << value;  // the share of the letter
    for (const char* name :
         {"objective/kl", "objective/entropy", "objective/non_score_reward", "objective/rlhf_reward",
          "objective/scores", "policy/approxkl_avg", "policy/clipfrac_avg", "loss/policy_avg",
          "loss/value_avg", "val/clipfrac_avg", "policy/entropy_avg", "val/ratio", "val/ratio_var",
          "val/num_eos_tokens", "episode"})
      EXPECT_TRUE(steps.back().contains(name)) << name;
    EXPECT_EQ(steps.back().at("episode").as_number(), 40 * 16);
  }
}

TEST_F(Ppo, SaysWhichIterationItIsAtAndThatABatchHoldsPromptsMoreThanOnce) {
  const Ran ran = run("own_reward", command("out", {"iterations=2"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  for (const char* line :
       {"batch_size=8 is more than the 7 prompts: an iteration holds some of them more than once\n",
        "\niteration 1/2, step 1/8  ", "\niteration 2/2, step 8/8  "})
    EXPECT_NE(ran.err.find(line), std::string::npos) << line << "\n" << ran.err;
}

TEST_F(Ppo, TheFirstMinibatchOfEveryIterationHasARatioOfOneAndTheFirstIterationNoKl) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  const auto steps = metrics_of("out");
  for (std::size_t i = 0; i < steps.size(); i += 4) {
    EXPECT_EQ(steps[i].at("val/ratio").as_number(), 1) << i;
    EXPECT_EQ(steps[i].at("val/ratio_var").as_number(), 0) << i;
    EXPECT_NE(steps[i + 1].at("val/ratio").as_number(), 1) << i;
  }
  EXPECT_EQ(steps[0].at("objective/kl").as_number(), 0);
  EXPECT_NE(steps[4].at("objective/kl").as_number(), 0);
}

TEST_F(Ppo, WhatChangesNoResultChangesNoBit) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  metrics_of("plain");
  for (const char* how : {"threads=2", "activation_checkpointing=true", "log_every=3"}) {
    metrics_of(how, {how});
    EXPECT_EQ(metrics_text(how), metrics_text("plain")) << how;
  }
}

TEST_F(Ppo, CutsAndSharingChangeTheLossByRoundingAlone) {
  const auto plain = metrics_of("plain", {"iterations=1"});
  for (const char* how : {"team.slots=4", "share_prefixes=false", "tokens_per_slot=1"}) {
    const auto other = metrics_of(how, {"iterations=1", how});
    for (std::size_t i = 0; i < plain.size(); ++i)
      EXPECT_NEAR(other.at(i).at("loss").as_number(), plain[i].at("loss").as_number(), 1e-5) << how;
  }
}

TEST_F(Ppo, ChainedIterationByIterationItEndsInTheSameBytes) {
  const CommandLine knobs = {"kl_target=0.5", "kl_horizon=100", "checkpoint.every=0", "checkpoint.keep=1",
                             "resume=true"};
  const auto with = [&](const std::string& iterations) {
    CommandLine more = knobs;
    more.push_back("iterations=" + iterations);
    return more;
  };
  metrics_of("alone", with("4"));
  for (const char* iterations : {"1", "2", "3", "4"}) metrics_of("chained", with(iterations));
  EXPECT_EQ(lasting_files(tiny_.dir / "chained", 16), lasting_files(tiny_.dir / "alone", 16));
}

TEST_F(Ppo, PenaltiesShowInTheScoresAndTheControllerInItsCoefficient) {
  const double plain = metrics_of("plain", {"iterations=1"}).front().at("objective/scores").as_number();
  const auto penalised = metrics_of("penalised", {"iterations=1", "missing_eos_penalty=3"});
  const double without_end = 16 - penalised.front().at("val/num_eos_tokens").as_number();
  EXPECT_NEAR(penalised.front().at("objective/scores").as_number(), plain - 3 * without_end / 16, 1e-12);
  const auto scores = [&](const std::string& name, const std::string& score) {
    const auto replaced = metrics_of(name, {"iterations=1", "missing_eos_score=" + score});
    return replaced.front().at("objective/scores").as_number();
  };
  EXPECT_NEAR(scores("minus_1", "-1") - scores("minus_2", "-2"), without_end / 16, 1e-12);
  EXPECT_GT(without_end, 0);
  EXPECT_LT(without_end, 16);
  // Scores of this reward are 0 or more than the clip, so the mean says how many answers have the letter.
  const double clipped =
      metrics_of("clipped", {"iterations=1", "score_clip=0.001"}).front().at("objective/scores").as_number();
  EXPECT_NEAR(16 * clipped / 0.001, std::round(16 * clipped / 0.001), 1e-9);
  EXPECT_GT(clipped, 0);
  EXPECT_LT(clipped, plain);
  const auto steered = metrics_of("steered", {"iterations=3", "kl_target=1000", "kl_horizon=100"});
  EXPECT_EQ(steered[0].at("objective/kl_coef").as_number(), 0.05);
  EXPECT_NEAR(steered[4].at("objective/kl_coef").as_number(), 0.05 * (1 - 0.2 * 16 / 100), 1e-15);
  EXPECT_NEAR(steered[8].at("objective/kl_coef").as_number(), 0.05 * std::pow(1 - 0.2 * 16 / 100, 2), 1e-15);
}

TEST_F(Ppo, HeldOutPromptsAreMeasuredAndReported) {
  const auto steps = metrics_of("out", {"eval=" + tiny_.pairs, "eval_every=2", "eval_samples=3"});
  for (const std::size_t i : {7, 15, 23}) {
    for (const char* name : {"eval_objective/scores", "eval_kl", "eval_nll"})
      EXPECT_TRUE(steps.at(i).contains(name)) << i << name;
    EXPECT_GT(steps[i].at("eval_kl").as_number(), 0);
  }
  EXPECT_FALSE(steps[8].contains("eval_kl"));
  PosixFs fs;
  const std::string page = read_file(fs, tiny_.dir / "out/report.html", 1 << 24);
  for (const char* said :
       {"mean reward", "KL from the reference", "perplexity under the reference", "3 answers each"})
    EXPECT_NE(page.find(said), std::string::npos) << said;
}

TEST_F(Ppo, LearnsFromTheFolderThatTheProgramRewardWrites) {
  const Ran reward =
      run("reward", {"model=" + tiny_.model, "train=" + tiny_.pairs, "output=" + tiny_.dir / "rm", "steps=3",
                     "batch_size=7", "optimizer.learning_rate=1e-2", "threads=1"});
  ASSERT_EQ(reward.code, 0) << reward.err;
  const std::string folder = tiny_.dir / "rm/model";
  CommandLine words = command("out", {"iterations=1", "reward_model=" + folder, "value=" + folder});
  std::erase(words, "letter=a");
  const Ran ran = run("ppo", words);
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(metrics(tiny_.dir / "out").front().at("objective/scores").as_number(), 0);
}

TEST_F(Ppo, ARewardsOwnKnobIsPartOfTheRun) {
  metrics_of("out", {"iterations=1", "resume=true"});
  PosixFs fs;
  const Json config = parse_json(read_file(fs, tiny_.dir / "out/config.json", 1 << 20), "config.json");
  EXPECT_EQ(config.at("letter").as_string(), "a");
  const Ran other = run("own_reward", command("out", {"iterations=2", "resume=true", "letter=b"}));
  EXPECT_EQ(other.code, 1);
  EXPECT_NE(other.err.find("error: resume=true, but letter was \"a\" and is \"b\""), std::string::npos)
      << other.err;
  EXPECT_EQ(run("own_reward", command("more", {"letter=abc"})).err,
            "error: letter=abc: wants one letter, a to z, say\n");
}

TEST_F(Ppo, TimesTellRolloutsApartAndAnswersASecond) {
  metrics_of("out", {"iterations=2"});
  PosixFs fs;
  const auto times = records(read_file(fs, tiny_.dir / "out/times.jsonl", 1 << 20));
  ASSERT_EQ(times.size(), 8u);
  for (std::size_t i = 0; i < times.size(); ++i) {
    EXPECT_EQ(times[i].contains("rollout_seconds"), i % 4 == 0) << i;
    EXPECT_EQ(times[i].contains("eps"), i % 4 == 3) << i;
    EXPECT_LE(times[i].at("batch_seconds").as_number(), times[i].at("seconds").as_number()) << i;
  }
  EXPECT_GT(times[4].at("rollout_seconds").as_number(), 0);
  EXPECT_LE(times[4].at("rollout_seconds").as_number(), times[4].at("batch_seconds").as_number());
  double all = 0;
  for (const Json& step : times) all += step.at("seconds").as_number();
  EXPECT_LE(times[7].at("eps").as_number(), 32 / all * 1.001);  // and what is between the steps
}

TEST_F(Ppo, RefusesWithoutOrWithTwoRewards) {
  CommandLine words = command("out");
  std::erase(words, "letter=a");
  EXPECT_EQ(run("ppo", words).err.substr(run("ppo", words).err.find("error: ")),
            "error: PPO wants a reward: give reward_model=FOLDER or lexicon=FILE\n");
  words.insert(words.end(), {"reward_model=r", "lexicon=l"});
  EXPECT_NE(run("ppo", words).err.find("reward_model=r and lexicon=l are two rewards; give one"),
            std::string::npos);
  const Ran own = run("own_reward", command("out", {"lexicon=l"}));
  EXPECT_EQ(own.code, 1);
  EXPECT_NE(own.err.find("this program has a reward of its own"), std::string::npos) << own.err;
}

TEST(PpoOnStories, ALexiconsRewardRises) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string lexicon = file_of(dir, "lexicon.txt",
                                      {"happy\t2.7", "loved\t2.9", "fun\t2.3", "good\t1.9", "sad\t-2.1",
                                       "scared\t-1.9", "cried\t-2.1", "no\t-1.2"});
  std::vector<std::string> lines;
  for (const char* name : {"Lily", "Tom", "Ben", "Mia", "Sam", "Sue", "Max", "Anna"}) {
    for (const char* then : {"went to the park", "had a dog", "saw a bird", "played with a ball"})
      lines.push_back(dump(Json::object({{"prompt", "One day, " + std::string(name) + " " + then + ". "}})));
  }
  const Ran ran =
      run("ppo", {"model=" + stories260k().string(), "train=" + file_of(dir, "prompts.jsonl", lines),
                  "lexicon=" + lexicon, "output=" + dir / "out", "iterations=15", "batch_size=32",
                  "num_generations=2", "response_length=32", "temperature=1", "num_ppo_epochs=2",
                  "kl_coef=0.02", "value=shared", "optimizer.learning_rate=1e-3", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const auto steps = metrics(dir / "out");
  double first = 0, last = 0;
  for (std::size_t i = 0; i < 3; ++i) {
    first += steps.at(2 * i).at("objective/scores").as_number() / 3;
    last += steps.at(steps.size() - 1 - 2 * i).at("objective/scores").as_number() / 3;
  }
  EXPECT_GT(last, first + 0.15) << first;
}

}  // namespace
}  // namespace prefer::testing
