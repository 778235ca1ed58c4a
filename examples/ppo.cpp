// ppo: trains a model on a reward of its own answers to prompts.
#include "prefer/prefer.hpp"

int main(int argc, char** argv) {
  return prefer::run_program<prefer::PpoConfig>(argc, argv, [](const prefer::PpoConfig& config) {
    prefer::Process process(config.process);
    prefer::PpoTrainer(config, process).train();
  });
}
