// The progress of long work that is not training: a line that is drawn over itself on a terminal, plain lines
// in a log.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/train/hooks.hpp"

#include <chrono>
#include <cstdint>
#include <string>

namespace prefer {

class ProgressLine {
 public:
  /// `what` is being done `total` times.
  ProgressLine(std::string what, int64_t total, Terminal terminal = standard_error(1));
  /// The line of rank 0; the others say nothing.
  ProgressLine(std::string what, int64_t total, const Team& team);
  /// So many are done: shows count, rate and time left. In a log, a line each tenth and the last one. Work
  /// that is over within two seconds says nothing.
  void operator()(int64_t done);

 private:
  std::string text(int64_t done, double seconds) const;

  std::string what_;
  int64_t total_;
  Terminal terminal_;
  std::chrono::steady_clock::time_point start_ = std::chrono::steady_clock::now();
  int64_t shown_ = -1;  // tenths of the work, or tenths of a second on a terminal
};

}  // namespace prefer
