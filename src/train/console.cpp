// What a person sees of a run: a bar on a terminal, plain lines elsewhere.
#include "prefer/train/hooks.hpp"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstdio>
#include <deque>
#include <memory>

namespace prefer {
namespace {

constexpr int64_t kRecent = 32;  // steps, and an iteration's besides, whose pace says how long the rest takes
constexpr int kBar = 20;

template <class... Values>
std::string format(const char* how, Values... values) {
  char text[256];
  std::snprintf(text, sizeof text, how, values...);
  return text;
}

std::string duration(double seconds) {
  const auto all = static_cast<long>(std::lround(std::max(0.0, seconds)));
  if (all >= 3600) return format("%ld:%02ld:%02ld", all / 3600, all / 60 % 60, all % 60);
  return format("%ld:%02ld", all / 60, all % 60);
}

class Console {
 public:
  explicit Console(Terminal terminal) : terminal_(std::move(terminal)) {}

  void operator()(StepEvent& event) {
    recent_.push_back({event.now, event.seconds, event.tokens, (event.step - 1) % event.iteration == 0});
    if (std::ssize(recent_) > kRecent + event.iteration - 1) recent_.pop_front();
    for (const Identity& i : event.identities) {
      if (event.step > 1 && i.every_iteration) continue;  // all were within their bounds
      line(format("step %ld: %s = %.9g (expected %.9g, bound %.3g)", static_cast<long>(event.step),
                  i.name.c_str(), i.measured, i.expected, i.bound));
    }
    if (!event.skipped.empty()) line("step " + std::to_string(event.step) + " skipped: " + event.skipped);
    if (terminal_.interactive) {
      bar(event);
    } else if (event.step % std::max<int64_t>(1, terminal_.every) == 0 || event.last()) {
      line(counted(event) + "  " + metrics(event) + "  " + pace(event));
    }
    const std::string held_out = evaluation(event);
    if (!held_out.empty()) line("step " + std::to_string(event.step) + held_out);
  }

 private:
  struct Recent {
    double now, seconds;
    int64_t tokens;
    bool first;  // of its iteration
  };

  static std::string counted(const StepEvent& event) {
    const auto of = [](int64_t done, int64_t all) {
      return std::to_string(done) + "/" + std::to_string(all);
    };
    const int64_t n = event.iteration;
    const std::string iteration =
        n > 1 ? "iteration " + of((event.step + n - 1) / n, (event.steps + n - 1) / n) + ", " : "";
    return iteration + "step " + of(event.step, event.steps);
  }

  std::string metrics(const StepEvent& event) const {
    std::string text;
    for (const std::string& name : terminal_.metrics) {
      const auto found = event.metrics.find(name);
      if (found == event.metrics.end()) continue;
      if (!text.empty()) text += "  ";
      text += name.substr(name.rfind('/') + 1) + format(" %.4g", found->second);
    }
    return text;
  }

  static std::string evaluation(const StepEvent& event) {
    std::string text;
    for (const auto& [name, value] : event.metrics) {
      if (name.starts_with("eval_")) text += "  " + name + format(" %.4g", value);
    }
    return text;
  }

  // Seconds that a step takes which begins an iteration, or another: from the times at which steps ended, so
  // that evaluation and saving count.
  double seconds(bool first) const {
    double sum = 0, count = 0;
    for (std::size_t i = 1; i < recent_.size(); ++i)
      if (recent_[i].first == first) sum += recent_[i].now - recent_[i - 1].now, ++count;
    if (count > 0) return sum / count;
    return (recent_.front().first == first ? recent_.front() : recent_.back()).seconds;
  }

  std::string pace(const StepEvent& event) const {
    double busy = 0;
    int64_t tokens = 0;
    for (const Recent& step : recent_) busy += step.seconds, tokens += step.tokens;
    const int64_t n = event.iteration, left = event.steps - event.step, begun = (event.step + n - 1) / n,
                  firsts = (event.steps + n - 1) / n - begun;
    const double begins = seconds(true), goes_on = seconds(false);
    std::string text = n > 1 ? format("%.3g s/iteration", begins + static_cast<double>(n - 1) * goes_on)
                             : format("%.3g s/step", begins);
    if (tokens > 0 && busy > 0) text += format("  %.0f tokens/s", static_cast<double>(tokens) / busy);
    return text + "  left " +
           duration(static_cast<double>(firsts) * begins + static_cast<double>(left - firsts) * goes_on);
  }

  void bar(const StepEvent& event) {
    const auto done = static_cast<std::size_t>(kBar * event.step / std::max<int64_t>(1, event.steps));
    std::string text = "[" + std::string(done, '=') + std::string(kBar - done, ' ') + "] " + counted(event) +
                       "  " + metrics(event) + "  " + pace(event);
    text.resize(std::min(text.size(), static_cast<std::size_t>(std::max(20, terminal_.columns - 1))));
    terminal_.write("\r\x1b[2K" + text + (event.last() ? "\n" : ""));
    drawn_ = !event.last();
  }

  void line(const std::string& text) {
    terminal_.write((drawn_ ? "\r\x1b[2K" : "") + text + "\n");
    drawn_ = false;
  }

  Terminal terminal_;
  std::deque<Recent> recent_;
  bool drawn_ = false;
};

}  // namespace

Terminal standard_error(int64_t every) {
  Terminal terminal;
  terminal.write = [](const std::string& text) {
    std::fputs(text.c_str(), stderr);
    std::fflush(stderr);
  };
  terminal.interactive = isatty(STDERR_FILENO) == 1;
  terminal.every = every;
  winsize size{};
  if (ioctl(STDERR_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) terminal.columns = size.ws_col;
  return terminal;
}

Hook console(Terminal terminal) {
  return [console = std::make_shared<Console>(std::move(terminal))](StepEvent& event) { (*console)(event); };
}

}  // namespace prefer
