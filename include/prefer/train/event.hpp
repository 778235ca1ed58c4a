// What a hook learns of a step and may ask for.
#pragma once

#include "prefer/losses/loss.hpp"

#include <functional>
#include <map>
#include <string>
#include <vector>

namespace prefer {

/// One step, after its update. Hooks see it in their order, the same event one after the other: what one asks
/// for is known to those behind it.
struct StepEvent {
  int64_t step = 0;       ///< from 1
  int64_t steps = 0;      ///< of the whole run
  int64_t iteration = 1;  ///< steps of an iteration, of which the first samples (PPO)
  /// `loss`, `grad_norm`, `learning_rate` and the objective's own; a hook may add.
  std::map<std::string, double> metrics = {};
  std::vector<Identity> identities = {};     ///< measured at this step, all within their bounds
  std::string skipped = {};                  ///< why the step changed no weight, or empty
  int64_t tokens = 0;                        ///< run by all ranks
  double seconds = 0;                        ///< that the step took
  double now = 0;                            ///< Unix time
  int64_t page_faults = 0;                   ///< minor ones, of the process, in the step
  std::map<std::string, double> times = {};  ///< what else differs from run to run; a hook may add

  bool boundary = true;  ///< a run can go on from here: false inside an iteration of several steps (PPO)
  /// Set by fit where a save is due, and by any hook; inside an iteration it is carried to the last step of
  /// that.
  bool save = false;
  /// Set by a hook, the same on every rank, to make this the last step of the run; inside an iteration, the
  /// last step of that.
  bool stop = false;
  /// Set by a hook likewise, to leave off there and go on another time: what belongs to the end of the run
  /// waits until then.
  bool pause = false;

  /// Whether fit returns after this step.
  bool last() const { return step >= steps || (boundary && (stop || pause)); }
  /// Whether the run is then whole.
  bool complete() const { return step >= steps || (boundary && stop && !pause); }
  bool saved() const { return boundary && (save || last()); }
};

using Hook = std::function<void(StepEvent&)>;
using Hooks = std::vector<Hook>;

}  // namespace prefer
