// Hooks that call others, evaluate, and stop.
#include "prefer/train/hooks.hpp"

#include "prefer/batch/source.hpp"

#include <time.h>
#include <unistd.h>

#include <atomic>
#include <memory>

namespace prefer {
namespace {

// A signal handler can reach nothing else.
volatile std::sig_atomic_t signal_seen = 0;
std::atomic<int64_t> seen_at{0};  // ms
static_assert(std::atomic<int64_t>::is_always_lock_free);

int64_t milliseconds() {
  timespec time{};
  clock_gettime(CLOCK_MONOTONIC, &time);
  return time.tv_sec * 1000 + time.tv_nsec / 1'000'000;
}

extern "C" void see_signal(int signal) {
  // timeout, systemd and launch ask a process and its group: one stop comes as two signals.
  constexpr int64_t kOneStop = 500;
  if (signal_seen != 0 && milliseconds() - seen_at < kOneStop) return;
  if (signal_seen != 0) _exit(128 + signal);
  signal_seen = signal;
  seen_at = milliseconds();
  static constexpr char kSaid[] = "\nfinishing the step, then saving; once more ends at once\n";
  [[maybe_unused]] const ssize_t written = write(STDERR_FILENO, kSaid, sizeof kSaid - 1);
}

}  // namespace

Hook every(int64_t n, Hook hook) {
  return [n, hook = std::move(hook)](StepEvent& event) {
    if (n > 0 && (event.step % n == 0 || event.complete())) hook(event);
  };
}

Hook evaluate(std::function<Metrics()> measure) {
  return [measure = std::move(measure)](StepEvent& event) {
    for (const auto& [name, value] : measure().values()) event.metrics[name] = value;
  };
}

Hook count_tokens(Source& source, int64_t step) {
  auto total = std::make_shared<int64_t>(0);
  for (int64_t done = 1; done <= step; ++done) {
    for (const Slot& slot : source.plan(done).slots) *total += slot.tokens;
  }
  return [total](StepEvent& event) {
    *total += event.tokens;
    event.metrics["num_tokens"] = static_cast<double>(*total);
  };
}

Hook on_first(Team& team, Hook hook) {
  return [&team, hook = std::move(hook)](StepEvent& event) { team.on_first([&] { hook(event); }); };
}

Hook pause_when(std::function<bool()> requested, Team& team) {
  return [&team, requested = std::move(requested)](StepEvent& event) {
    if (event.boundary && team.any(requested())) event.pause = true;
  };
}

StopSignals::StopSignals() {
  signal_seen = 0;
  struct sigaction action {};
  action.sa_handler = see_signal;
  action.sa_flags = SA_RESTART;
  sigemptyset(&action.sa_mask);
  sigaction(SIGINT, &action, &before_int_);
  sigaction(SIGTERM, &action, &before_term_);
  sigaction(SIGHUP, nullptr, &before_hup_);
  if (before_hup_.sa_handler != SIG_IGN) sigaction(SIGHUP, &action, nullptr);  // as nohup has it
}

StopSignals::~StopSignals() {
  sigaction(SIGINT, &before_int_, nullptr);
  sigaction(SIGTERM, &before_term_, nullptr);
  sigaction(SIGHUP, &before_hup_, nullptr);
}

bool StopSignals::requested() const { return signal_seen != 0; }
int StopSignals::signal() const { return signal_seen; }

}  // namespace prefer
