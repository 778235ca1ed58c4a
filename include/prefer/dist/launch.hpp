// A program as several ranks on this machine: started together, watched, and ended when one of them fails.
#pragma once

#include "prefer/core/program.hpp"

#include <cstdint>
#include <string>
#include <vector>

namespace prefer {

struct LaunchConfig {
  int64_t n = 0;            ///< ranks
  int64_t port = 0;         ///< of this machine, where they find each other; 0: a free one
  bool all_output = false;  ///< pass on the messages of every rank, not of rank 0 alone

  void describe(Fields& f);
};

/// A command line taken apart at its `--`.
struct LaunchArguments {
  LaunchConfig config;
  std::vector<std::string> command;  ///< what stands behind it
};

/// Throws HelpAsked, and Error, as read_program_arguments does; where there is no `--`, the error says where
/// the program would stand.
LaunchArguments read_launch_arguments(int argc, const char* const* argv);

/// Runs `command` n times with `variables` and the place of each (place_of), and waits for all. A program
/// named without a folder is looked for in the PATH of `variables`, then beside the program that calls.
/// Returns the exit code of the first that failed by itself, 128 + the signal where one ended it, or 0. Their
/// lines on the standard error output are passed on; of those that begin with "error: " one is said, at the
/// end, with the rank and the step it was at. Two seconds after one fails the others are killed, with what
/// they have started; two seconds after all have ended, what they have left running and still holds their
/// standard error output. SIGINT, SIGTERM and SIGHUP go to all of them. For a `main`: these signals and
/// SIGCHLD are blocked in the calling thread from then on. Throws Error where the program is not found, or a
/// rank cannot be started.
int launch(const LaunchConfig& config, std::vector<std::string> command, Environment variables);

}  // namespace prefer
