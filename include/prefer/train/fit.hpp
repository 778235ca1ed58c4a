// The one training loop.
#pragma once

#include "prefer/objectives/objective.hpp"
#include "prefer/train/event.hpp"
#include "prefer/train/gradients.hpp"
#include "prefer/train/guard.hpp"
#include "prefer/train/optimizer.hpp"
#include "prefer/train/schedule.hpp"

namespace prefer {

/// How long is trained, and how a step is taken.
struct FitConfig {
  int64_t steps = 0;  ///< optimizer steps of the run, at least 1 for fit; resolve_steps replaces 0
  double epochs = 1;  ///< passes over the records, fractions too; resolve_steps alone uses it
  AdamWConfig optimizer = {};
  ScheduleConfig schedule = {};
  GuardConfig guard = {};

  bool exact = false;      ///< team.exact, set by whoever reads it: gradients are added up in fixed point
  int64_t save_every = 0;  ///< checkpoint.every, set by whoever reads it; 0: only the last step is saved
  int64_t iteration =
      1;  ///< steps that belong together (PPO): the learning rate advances and saves fall after them only
  std::function<double()> clock = {};  ///< Unix time; the system's unless given

  /// steps, epochs and the groups optimizer, schedule and guard: meant to stand at the top of a trainer's
  /// config.
  void describe(Fields& f);
  void describe_update(Fields& f);  ///< the groups alone
  /// Sets `steps`, where it is 0, to as many as `epochs` passes over `records` take, the last one completed
  /// with records of the pass after.
  void resolve_steps(int64_t records, int64_t batch_size);
};

/// Everything that training changes: weights, optimizer, guard, the states of source and objective, and the
/// step.
struct Training {
  /// Source and objective must outlive it; the config is copied. Throws Error where the config does not keep
  /// its rules, and unless there are parameters, each a leaf with gradient and a name of its own.
  Training(const FitConfig& config, Source& source, Objective& objective);

  FitConfig config;
  Source& source;
  Objective& objective;
  std::vector<Trained> parameters;
  Gradients gradients;
  AdamW optimizer;
  Guard guard;
  int64_t step = 0;  ///< the last step done

  /// All of it by name: `weights.`, `optimizer.`, `guard.`, `source.`, `objective.` and, for exact sums,
  /// `gradients.` NAME. Weights and optimizer tensors are the training's own, not copies.
  NamedTensors state() const;
  NamedTensors weights() const;
  /// Puts back what `state` gave after `at_step`. Throws Error, before any change, for a name that is missing
  /// and for weights and optimizer tensors of another shape.
  void restore(int64_t at_step, const NamedTensors& state);
};

struct FitResult {
  int64_t step = 0;     ///< the last step done
  int64_t skipped = 0;  ///< steps that the guard kept from changing anything
  bool paused = false;  ///< a hook asked to leave off before the last step, and go on another time
};

/// Trains from training.step + 1 to training.config.steps. Every rank calls it alike. Throws Error where an
/// identity does not hold or the guard stops; weights are then as they were before that step.
FitResult fit(Training& training, Team& team, const Hooks& hooks);

/// The same from the beginning, for those who keep no checkpoints.
FitResult fit(const FitConfig& config, Source& source, Objective& objective, Team& team, const Hooks& hooks);

}  // namespace prefer
