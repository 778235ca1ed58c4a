// The settings of a process: threads, memory, matrix products, signals. Made once, by a program's main.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/log.hpp"
#include "prefer/core/program.hpp"
#include "prefer/data/records.hpp"
#include "prefer/dist/place.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/ops/gemm.hpp"
#include "prefer/tensor.hpp"
#include "prefer/train/hooks.hpp"

#include <memory>
#include <string>

namespace prefer {

/// Where a process computes, and with how many threads.
struct ProcessConfig {
  std::string device = "cpu";  ///< where tensors live; or "cuda": a GPU of its own for each rank of a machine
  /// CPU threads, 1 .. 1024; 0: all cores, or this rank's share of them, whatever OMP_NUM_THREADS says.
  int64_t threads = 0;

  void describe(Fields& f);
};

/// What is one to a process. The library never makes one by itself. Making one changes the whole program for
/// good, and no destructor takes it back: LibTorch's number of threads; malloc (mallopt), which then takes
/// large blocks from the heap too and gives nothing of that back to the system; LibTorch's CPU allocator
/// (keep_large_tensors_together); and the routes of matrix products (set_gemm_routes).
class Process {
 public:
  /// Sets the number of threads and the allocator's habits, chooses the matrix products of this CPU, and
  /// joins the other ranks where `environment` is that of a launcher (place_of). Throws Error where the
  /// device or a rank is not to be had.
  explicit Process(const ProcessConfig& config, const Environment& environment = {})
      : Process(config, disk_, environment) {}
  /// With another file system than Linux' own; `fs` must outlive it.
  Process(const ProcessConfig& config, Fs& fs, const Environment& environment = {});
  /// With a team that is there already; on a machine with GPUs it takes the first.
  Process(const ProcessConfig& config, std::unique_ptr<Team> team);
  Process(const Process&) = delete;
  Process& operator=(const Process&) = delete;

  at::Device device() const { return device_; }
  Fs& fs() { return fs_; }
  Team& team() const { return *team_; }
  /// Keeps SIGINT, SIGTERM and, unless it is ignored (nohup), SIGHUP for as long as the value lives: while
  /// there is something to save. Otherwise they end the process, as they do any.
  [[nodiscard]] StopSignals watch_signals() const { return {}; }
  /// Throws Error where there are several ranks, for `program`, which is the work of one process.
  void wants_one_rank(const std::string& program) const;
  /// CPU, instruction set, threads, ranks and the route of matrix products, in words.
  std::string description() const;
  /// A line of the log, on the standard error output of rank 0.
  void say(const std::string& line) const {
    if (team_->first()) log_.info(line);
  }
  /// Says what was left out of a file, where anything was.
  void say_skipped(const std::string& path, const Skipped& skipped) const;
  /// Says which promises a test of this CPU's products found off.
  void say_broken(const InvarianceReport& products) const;
  /// By how many nats two forwards of one model may differ in the log-prob of a sequence of `tokens`: 0 on a
  /// CPU whose `products` of `dtype` keep a row's bits.
  double sum_bound(const InvarianceReport& products, at::ScalarType dtype, int64_t tokens) const;

 private:
  void set(const ProcessConfig& config, const Place& place);

  at::Device device_ = at::kCPU;
  PosixFs disk_;
  Fs& fs_;
  Log log_;
  std::unique_ptr<Team> team_;
};

/// The warning for a program that begins as `ranks` of `threads` each on a machine of `cores`, on which other
/// work wanted `load` cores in the last minute; empty where there is room for both, or no thread that waits
/// for others.
std::string warning_of_other_work(double load, int64_t threads, int64_t ranks, int64_t cores);

/// The rule for fields that hold the name of a number type (dtype_from_name).
Rule dtype_rule();

/// The most memory the process has had so far, in bytes.
int64_t peak_memory();

}  // namespace prefer
