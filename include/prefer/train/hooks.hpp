// The hooks of every run: console, files, evaluation, signals. A program lists those it wants, in the order
// they run.
#pragma once

#include "prefer/dist/team.hpp"
#include "prefer/train/event.hpp"

#include <csignal>
#include <functional>
#include <string>
#include <vector>

namespace prefer {

class Fs;
class Source;

/// Runs `hook` at steps that `n` divides and at the last of the run; never for n = 0. A run that pauses and
/// goes on does the same as one left alone, so a pause is no reason. Stands behind the hooks that may stop
/// the run: it does not know of a stop that is asked for later in the step.
Hook every(int64_t n, Hook hook);

/// Adds the metrics that `measure` returns to the event. Every rank calls it, and it returns the same on
/// each. Stands before the hooks that write.
Hook evaluate(std::function<Metrics()> measure);

/// Runs `hook` on rank 0 while the others wait for it. `team` must outlive the hook.
Hook on_first(Team& team, Hook hook);

/// Adds TRL's num_tokens to the event: all tokens that were run so far, those of the first `step` steps by
/// the source's plans, which are read at once. Stands before the hooks that write.
Hook count_tokens(Source& source, int64_t step);

/// Pauses when `requested` holds on any rank. The first of the hooks. `team`, and what `requested` refers to,
/// must outlive it.
Hook pause_when(std::function<bool()> requested, Team& team);

/// While it lives, the first SIGINT, SIGTERM or SIGHUP (unless that is ignored, as nohup has it) is kept for
/// `requested`, and one that comes half a second later or more ends the process at once. Before and after,
/// signals do what they did.
class [[nodiscard]] StopSignals {
 public:
  StopSignals();
  ~StopSignals();
  StopSignals(const StopSignals&) = delete;
  StopSignals& operator=(const StopSignals&) = delete;
  bool requested() const;
  int signal() const;  ///< the signal that came, or 0

 private:
  struct sigaction before_int_ {};
  struct sigaction before_term_ {};
  struct sigaction before_hup_ {};
};

/// Where the console's text goes and how it looks.
struct Terminal {
  std::function<void(const std::string&)> write = {};
  bool interactive = false;  ///< a bar that is drawn over itself; otherwise plain lines
  int columns = 80;
  int64_t every = 1;  ///< steps from one plain line to the next
  /// Metrics to show, where the run has them; those that begin with eval_ are always shown.
  std::vector<std::string> metrics = {"loss",      "rewards/accuracies",  "rewards/margins",  "accuracy",
                                      "margin",    "mean_token_accuracy", "objective/scores", "objective/kl",
                                      "grad_norm", "learning_rate"};
};
/// The standard error output.
Terminal standard_error(int64_t every);

/// Progress, rate, tokens a second, time left, identities, skipped steps and the main metrics.
Hook console(Terminal terminal);

/// Appends a line of metrics a step to `folder`/metrics.jsonl and of times to `folder`/times.jsonl. A run
/// that continues after step `first` cuts both to the steps up to it. What is to be saved is on the disk when
/// it returns. `fs` must outlive the hook.
Hook metrics_file(Fs& fs, const std::string& folder, int64_t first);

/// Writes every metric to a TensorBoard event file in `folder`: train/NAME, or eval/NAME for eval_NAME.
/// `fs` must outlive the hook.
Hook tensorboard(Fs& fs, const std::string& folder);

}  // namespace prefer
