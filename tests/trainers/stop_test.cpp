// Every trainer under a hook that ends the run early: it ends as a run of fewer steps does, or as one that a
// signal stopped.
#include "prefer/core/program.hpp"
#include "support/program.hpp"
#include "support/tiny_run.hpp"
#include "tests/trainers/trainer_of.hpp"

#include <gtest/gtest.h>

#include <algorithm>

namespace prefer::testing {
namespace {

/// How long a run is: PPO counts iterations, here of two steps.
int64_t& length_of(RunConfig& config) { return config.fit.steps; }
int64_t& length_of(PpoConfig& config) { return config.iterations; }

template <class Config>
class AHookThatEndsARun : public ::testing::Test {
 protected:
  AHookThatEndsARun() {
    std::vector<std::string> lines;
    for (const char* letter : {"a", "b", "c", "d"})
      lines.push_back(dump(Json::object({{"prompt", std::string("do ") + letter},
                                         {"completion", std::string(" good ") + letter},
                                         {"label", *letter < 'c'}})));
    texts_ = file_of(tiny_.dir, "texts.jsonl", lines);
  }
  Config config(const std::string& output, int64_t length) const {
    Config config;
    config.model = tiny_.model;
    constexpr bool kTexts = std::is_same_v<Config, SftConfig> || std::is_same_v<Config, KtoConfig>;
    config.train = kTexts ? texts_ : tiny_.pairs;
    config.eval = config.train;
    config.output = tiny_.dir / output;
    config.order.batch_size = 4;
    config.fit.schedule.lr_scheduler_type = "constant";
    config.resume = true;
    length_of(config) = length;
    if constexpr (requires { config.samples; }) {
      config.samples.prompts = tiny_.prompts;
      config.samples.max_new_tokens = 3;
    }
    if constexpr (std::is_same_v<Config, PpoConfig>) {
      config.rollout.response_length = 4;
      config.rollout.num_ppo_epochs = 2;
    }
    if constexpr (std::is_same_v<Config, DpoConfig>) config.kl.max_new_tokens = 3;
    return config;
  }
  void train(const Config& config, const Hooks& hooks = {}) { trainer_of(config, process_).train(hooks); }
  std::string file(const std::string& name) { return read_file(process_.fs(), tiny_.dir / name, 1 << 26); }
  /// Steps that one of `length` is.
  static constexpr int64_t kSteps = std::is_same_v<Config, PpoConfig> ? 2 : 1;

  TinyRun tiny_;
  std::string texts_;
  Process process_{ProcessConfig{.device = "cpu", .threads = 1}};
};

using Configs = ::testing::Types<SftConfig, RewardConfig, DpoConfig, KtoConfig, PpoConfig>;
TYPED_TEST_SUITE(AHookThatEndsARun, Configs);

TYPED_TEST(AHookThatEndsARun, EndsItAsARunOfFewerSteps) {
  this->train(this->config("short", 2));
  // Of PPO the step before the iteration's last, which is done all the same.
  const int64_t last = 2 * this->kSteps, asked = last - this->kSteps + 1;
  this->train(this->config("ended", 9), {[&](StepEvent& event) { event.stop |= event.step == asked; }});
  const std::string checkpoint = "checkpoint-" + std::to_string(last) + "/weights.safetensors";
  for (const std::string& name :
       {std::string("model/model.safetensors"), std::string("metrics.jsonl"), checkpoint})
    EXPECT_TRUE(this->file("ended/" + name) == this->file("short/" + name)) << name;
  EXPECT_NE(this->file("ended/metrics.jsonl").find("\"eval_"), std::string::npos);
  EXPECT_TRUE(this->process_.fs().exists(this->tiny_.dir / "ended/report.html"));
}

TYPED_TEST(AHookThatEndsARun, SeesTheEvaluationOfItsStep) {
  auto config = this->config("early", 9);
  config.eval_every = 2;
  std::vector<int64_t> evaluated;
  this->train(config, {[&](StepEvent& event) {
                const bool here = std::ranges::any_of(
                    event.metrics, [](const auto& metric) { return metric.first.starts_with("eval_"); });
                if (here) evaluated.push_back(event.step);
                event.stop |= here;
              }});
  EXPECT_EQ(evaluated, std::vector<int64_t>{2 * this->kSteps});
  this->train(this->config("short", 2));
  for (const char* name : {"model/model.safetensors", "metrics.jsonl"})
    EXPECT_TRUE(this->file(std::string("early/") + name) == this->file(std::string("short/") + name)) << name;
}

TYPED_TEST(AHookThatEndsARun, LeavesOffAsASignalDoes) {
  this->train(this->config("whole", 3));
  const auto paused = this->config("paused", 3);
  const int64_t asked = this->kSteps + 1;
  try {
    this->train(paused, {[&](StepEvent& event) { event.pause |= event.step == asked; }});
    FAIL() << "went on";
  } catch (const Stopped& stopped) {
    EXPECT_EQ(stopped.signal(), 0);
    EXPECT_EQ(stopped.exit_code(), 75);
  }
  EXPECT_FALSE(this->process_.fs().exists(this->tiny_.dir / "paused/model"));
  this->train(paused);
  for (const char* name : {"model/model.safetensors", "metrics.jsonl"})
    EXPECT_TRUE(this->file(std::string("paused/") + name) == this->file(std::string("whole/") + name))
        << name;
}

}  // namespace
}  // namespace prefer::testing
