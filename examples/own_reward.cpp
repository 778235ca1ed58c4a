// own_reward: the PPO trainer with a reward of one's own; every key of ppo works, and letter besides.
#include "prefer/prefer.hpp"

#include <algorithm>

/// The share of an answer's letters that are `letter`; empty answers get nothing.
struct LetterShare {
  std::string letter = "e";

  double operator()(const std::string& /*prompt*/, const std::string& answer) const {
    if (answer.empty()) return 0;
    return static_cast<double>(std::ranges::count(answer, letter.front())) /
           static_cast<double>(answer.size());
  }
  void describe(prefer::Fields& f) { f("letter", letter, "the letter to write more of", prefer::required()); }
  void check() const {
    if (letter.size() != 1) prefer::fail("letter=", letter, ": wants one letter, a to z, say");
  }
};

struct MyConfig : prefer::PpoConfig {
  LetterShare reward;

  void describe(prefer::Fields& f) {
    reward.describe(f);
    prefer::PpoConfig::describe(f);
  }
  void check() const {
    reward.check();
    prefer::PpoConfig::check();
  }
};

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<MyConfig>(argc, argv, [&](const MyConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    // Saved with the run: it goes on only with the same letter.
    const prefer::Json knobs = prefer::config_json(config.reward);
    prefer::PpoTrainer(config, process, config.reward, knobs).train();
  });
}
