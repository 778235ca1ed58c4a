// ppo: trains a model on a reward of its own answers to prompts.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<prefer::PpoConfig>(argc, argv, [&](const prefer::PpoConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::PpoTrainer(config, process).train();
  });
}
