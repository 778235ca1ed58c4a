// launch: runs a training program as several ranks on this machine, and ends them all when one fails.
#include "prefer/prefer.hpp"

#include <algorithm>

using namespace prefer;

int main(int argc, char** argv, char** envp) {
  const auto separator =
      std::find_if(argv, argv + argc, [](const char* word) { return std::string(word) == "--"; });
  std::vector<std::string> command(std::min(separator + 1, argv + argc), argv + argc);
  int code = 0;
  const int failed = run_program<LaunchConfig>(
      static_cast<int>(separator - argv), argv,
      [&](const LaunchConfig& c) { code = launch(c, std::move(command), environment(envp)); });
  return failed != 0 ? failed : code;
}
