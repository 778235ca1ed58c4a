// kto: trains a model on answers that were judged one by one.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<prefer::KtoConfig>(argc, argv, [&](const prefer::KtoConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::KtoTrainer(config, process).train();
  });
}
