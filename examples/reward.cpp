// reward: trains a reward model on pairs of a chosen and a rejected answer, or on rankings of several.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<prefer::RewardConfig>(argc, argv, [&](const prefer::RewardConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::RewardTrainer(config, process).train();
  });
}
