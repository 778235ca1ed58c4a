// dpo: trains a model on pairs of a chosen and a rejected answer.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<prefer::DpoConfig>(argc, argv, [&](const prefer::DpoConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::DpoTrainer(config, process).train();
  });
}
