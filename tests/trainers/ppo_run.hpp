// What the tests of PPO share: a reward model that RewardTrainer made, and small runs on it.
#pragma once

#include "prefer/trainers/ppo.hpp"
#include "prefer/trainers/reward.hpp"
#include "support/tiny_run.hpp"

#include <gtest/gtest.h>

namespace prefer::testing {

class PpoOnARewardModel : public ::testing::Test {
 protected:
  PpoOnARewardModel() {
    RewardConfig config;
    config.model = tiny_.model;
    config.train = tiny_.pairs;
    config.output = tiny_.dir / "reward";
    config.fit.steps = 3;
    config.fit.optimizer.learning_rate = 1e-2;
    config.order.batch_size = 7;
    RewardTrainer(config, process_).train();
  }
  PpoConfig config(const std::string& output) const {
    PpoConfig config;
    config.model = tiny_.model;
    config.train = tiny_.pairs;
    config.output = tiny_.dir / output;
    config.reward_model = tiny_.dir / "reward/model";
    config.iterations = 1;
    config.order.batch_size = 7;
    config.rollout.response_length = 6;
    config.rollout.temperature = 1;
    config.rollout.num_ppo_epochs = 1;
    config.rollout.num_generations = 2;
    return config;
  }
  double scores_of(const PpoConfig& config) {
    PpoTrainer trainer(config, process_);
    double scores = 0;
    trainer.train({[&](StepEvent& event) { scores = event.metrics.at("objective/scores"); }});
    return scores;
  }

  TinyRun tiny_;
  Process process_{ProcessConfig{.device = "cpu", .threads = 1}};
};

}  // namespace prefer::testing
