// sft: trains a model on demonstrations of what it should say.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  return prefer::run_program<prefer::SftConfig>(argc, argv, [&](const prefer::SftConfig& config) {
    prefer::Process process(config.process, prefer::environment(envp));
    prefer::SftTrainer(config, process).train();
  });
}
