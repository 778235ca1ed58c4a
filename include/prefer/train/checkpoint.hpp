// Checkpoints that are there whole or not at all, and what a run must agree on with the one it continues.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/train/event.hpp"
#include "prefer/train/run_identity.hpp"

#include <optional>
#include <set>
#include <string>
#include <vector>

namespace prefer {

class Team;
struct Training;

struct CheckpointConfig {
  int64_t every = 0;  ///< steps (PPO: iterations) from one to the next; 0: at the end and on a signal alone
  int64_t keep = 2;   ///< how many of the newest stay

  void describe(Fields& f);
};

/// Throws Error where `output` cannot be the folder of a run: a file, a folder in which another process is at
/// work, without `resume` one that holds anything, with it one that holds no checkpoint and a finished run's
/// model or report, or a config.json that is no run's. Makes nothing, so it may be asked before anything is
/// read.
void check_output(Fs& fs, const std::string& output, bool resume);

/// The checkpoints of one output folder: `checkpoint-STEP/` with weights.safetensors, optimizer.safetensors,
/// state.safetensors and manifest.json (docs/formats.md). A folder gets its name by a rename, after all it
/// holds is on the disk: the only commit. The newest is the highest step whose files are what its manifest
/// says.
class Checkpoints {
 public:
  /// `fs` must outlive it.
  Checkpoints(Fs& fs, std::string output, CheckpointConfig config, RunIdentity identity);

  /// Makes the output folder ready, keeps it to this process while the object lives, and finds where to
  /// begin: the step of the newest good checkpoint, or 0 where there is none. Throws Error where check_output
  /// does, where another process works in the folder, where checkpoints are there and none is good, where
  /// config or inputs are not those of the checkpoint, or where the disk has no room for one more of `bytes`.
  /// Collective.
  int64_t open(bool resume, int64_t bytes, Team& team);
  /// Puts the checkpoint that `open` found into `training`; nothing where it found none.
  void restore(Training& training) const;
  /// Writes and commits one, then removes those beyond `keep`. On failure throws Error; earlier ones are
  /// untouched.
  void save(int64_t step, const NamedTensors& state);
  /// What `open` has to tell: damaged checkpoints and where, bits that will differ. One line each.
  const std::vector<std::string>& notes() const { return notes_; }

 private:
  std::string path(int64_t step) const;
  std::vector<int64_t> steps() const;
  void lock();
  int64_t find(bool resume);
  std::optional<Json> good_manifest(int64_t step);
  void accept(const Json& manifest) const;
  void check_space(int64_t bytes) const;
  void commit(int64_t step, const std::string& temporary);
  void discard(const std::string& folder);
  void discard_before(int64_t step);  ///< those beyond `keep`, the newest of them being `step`

  Fs& fs_;
  std::string output_;
  std::optional<File> lock_;
  CheckpointConfig config_;
  RunIdentity identity_;
  std::set<int64_t> damaged_;  ///< steps whose checkpoints were found so: none of the newest that are kept
  int64_t found_ = 0;
  std::vector<std::string> notes_;
};

/// Saves the training at each event that says so; the last of the hooks. Collective. All three must outlive
/// the hook.
Hook save_checkpoints(Checkpoints& checkpoints, Training& training, Team& team);

/// Bytes that a checkpoint of this training takes on the disk, about.
int64_t checkpoint_bytes(const Training& training);

}  // namespace prefer
