// Shows how far long work has come.
#include "prefer/trainers/progress.hpp"

#include <cstdio>

namespace prefer {

ProgressLine::ProgressLine(std::string what, int64_t total, Terminal terminal)
    : what_(std::move(what)), total_(total), terminal_(std::move(terminal)) {}

ProgressLine::ProgressLine(std::string what, int64_t total, const Team& team)
    : ProgressLine(std::move(what), total,
                   team.first() ? standard_error(1) : Terminal{.write = [](const std::string&) {}}) {}

std::string ProgressLine::text(int64_t done, double seconds) const {
  const double rate = seconds > 0 ? static_cast<double>(done) / seconds : 0;
  const double left = rate > 0 ? static_cast<double>(total_ - done) / rate : 0;
  char line[160];
  std::snprintf(line, sizeof line, "%s: %lld of %lld, %.3g/s, left %d:%02d", what_.c_str(),
                static_cast<long long>(done), static_cast<long long>(total_), rate,
                static_cast<int>(left) / 60, static_cast<int>(left) % 60);
  return line;
}

void ProgressLine::operator()(int64_t done) {
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start_).count();
  const int64_t now =
      terminal_.interactive ? static_cast<int64_t>(seconds * 10) : 10 * done / std::max<int64_t>(1, total_);
  if ((now == shown_ && done < total_) || seconds < 2) return;
  shown_ = now;
  if (terminal_.interactive) {
    terminal_.write("\r\x1b[K" + text(done, seconds) + (done >= total_ ? "\n" : ""));
  } else {
    terminal_.write(text(done, seconds) + "\n");
  }
}

}  // namespace prefer
