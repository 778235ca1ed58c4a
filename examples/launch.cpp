// launch: runs a training program as several ranks on this machine, and ends them all when one fails.
#include "prefer/prefer.hpp"

int main(int argc, char** argv, char** envp) {
  int code = 0;
  const int failed = prefer::run_guarded([&] {
    const prefer::LaunchArguments read = prefer::read_launch_arguments(argc, argv);
    code = prefer::launch(read.config, read.command, prefer::environment(envp));
  });
  return failed != 0 ? failed : code;
}
