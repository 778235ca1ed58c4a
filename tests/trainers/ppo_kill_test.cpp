// PPO killed in a rollout and in an update, alone and as one of two ranks: resumed, it ends in the same
// bytes.
#include "support/port.hpp"
#include "tests/programs/dpo.hpp"
#include "tests/trainers/ppo_run.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <csignal>

namespace prefer::testing {
namespace {

/// Begins `work` in a process of its own.
template <class Work>
pid_t started(const Work& work) {
  const pid_t child = fork();
  if (child != 0) return child;
  try {
    work();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
    _exit(1);
  }
  _exit(0);
}

/// Waits for a process: its exit code, or minus the signal that ended it.
int ended(pid_t child) {
  int status = 0;
  waitpid(child, &status, 0);
  return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

/// A run that goes on where the last checkpoint of its folder stands.
PpoConfig resumable(PpoConfig config) {
  config.reward_model.reset();
  config.resume = true;
  config.checkpoint.every = 1;
  config.fit.optimizer.learning_rate = 1e-2;
  return config;
}

/// Pays by length and counts its calls; the process is killed at the one that is named.
Scorer lengths(int64_t killed_as_scored, int64_t* scored) {
  return [=](std::span<const Answer> answers) {
    if (++*scored == killed_as_scored) raise(SIGKILL);
    std::vector<double> scores;
    for (const Answer& answer : answers) scores.push_back(static_cast<double>(answer.text.size()));
    return scores;
  };
}

// Of four iterations of two epochs; the third is killed as its answers are scored, and between its two steps.
TEST_F(PpoOnARewardModel, ARunKilledInARolloutOrInAnUpdateEndsInTheSameBytes) {
  constexpr int64_t kThird = 3, kEpochs = 2;
  const auto train = [&](const std::string& output, int64_t killed_as_scored, int64_t killed_after_step) {
    PpoConfig config = resumable(this->config(output));
    config.iterations = 4;
    config.rollout.num_ppo_epochs = kEpochs;
    int64_t scored = 0;
    const Scorer reward = lengths(killed_as_scored, &scored);
    PpoTrainer trainer(config, process_, reward);
    trainer.train({[&](StepEvent& event) {
      if (event.step == killed_after_step) raise(SIGKILL);
    }});
    return scored;
  };
  const int64_t never = 0, scored_an_iteration = train("alone", never, never) / 4;
  const int64_t steps = 4 * kEpochs;
  ASSERT_GE(scored_an_iteration, 1);
  const auto expected = lasting_files(tiny_.dir / "alone", steps);
  ASSERT_EQ(ended(started([&] { train("rollout", (kThird - 1) * scored_an_iteration + 1, never); })),
            -SIGKILL);
  ASSERT_EQ(ended(started([&] { train("update", never, (kThird - 1) * kEpochs + 1); })), -SIGKILL);
  for (const char* where : {"rollout", "update"}) {
    EXPECT_EQ(train(where, never, never), 2 * scored_an_iteration) << where;  // the third and the fourth
    EXPECT_EQ(lasting_files(tiny_.dir / where, steps), expected) << where;
  }
}

// In the second of three iterations one of two ranks is killed as its answers are scored.
TEST_F(PpoOnARewardModel, RanksOneOfWhichIsKilledInARolloutEndInTheBytesOfOneRank) {
  constexpr int64_t kIterations = 3, kNever = 0;
  const auto train = [&](Process& process, const std::string& output, int64_t killed_as_scored) {
    PpoConfig config = resumable(this->config(output));
    config.iterations = kIterations;
    config.team = {.exact = true, .slots = 2};
    int64_t scored = 0;
    const Scorer reward = lengths(killed_as_scored, &scored);
    PpoTrainer(config, process, reward).train();
    return scored;
  };
  ASSERT_EQ(train(process_, "alone", kNever), kIterations);
  const auto train_both = [&](int64_t second_killed_as_scored) {
    const std::string port = std::to_string(free_port());
    const auto rank = [&](const std::string& number, int64_t killed_as_scored) {
      return started([&] {
        Process process(
            {.device = "cpu", .threads = 1},
            {{"RANK", number}, {"WORLD_SIZE", "2"}, {"MASTER_ADDR", "127.0.0.1"}, {"MASTER_PORT", port}});
        train(process, "both", killed_as_scored);
      });
    };
    const pid_t first = rank("0", kNever), second = rank("1", second_killed_as_scored);
    const int of_first = ended(first);
    return std::pair(of_first, ended(second));
  };
  EXPECT_EQ(train_both(2), std::pair(1, -SIGKILL));
  EXPECT_TRUE(process_.fs().exists(tiny_.dir / "both/checkpoint-1"));
  EXPECT_FALSE(process_.fs().exists(tiny_.dir / "both/checkpoint-2"));
  EXPECT_EQ(train_both(kNever), std::pair(0, 0));
  EXPECT_EQ(lasting_files(tiny_.dir / "both", kIterations), lasting_files(tiny_.dir / "alone", kIterations));
}

}  // namespace
}  // namespace prefer::testing
