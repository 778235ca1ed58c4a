// One life of a training process over some file system: opened, restored, trained, saved, as a program does
// it.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/train/checkpoint.hpp"
#include "prefer/train/hooks.hpp"
#include "tests/train/tiny.hpp"

namespace prefer::testing {

inline constexpr int64_t kSteps = 12;

struct Session {
  Fs& fs;
  std::string output = "out";
  FitConfig config = tiny_config(kSteps);
  RunIdentity identity{
      .config = parse_json(R"({"steps": 12, "loss": {"beta": 0.1}, "output": "out"})", "test"),
      .inputs = {{"train (pairs.jsonl)", "a1"}, {"model", "b2"}},
      .route = "mkl",
      .isa = "avx512",
      .version = "1",
      .free = {"steps", "output"}};
  int64_t stop_at = 0;  ///< as if a signal came during this step
  Hooks more;

  int64_t began = -1;    ///< the step that was continued from
  int64_t promised = 0;  ///< the last step whose save returned
  std::vector<std::string> notes;
  FitResult result;

  explicit Session(Fs& fs_) : fs(fs_) { config.save_every = 3; }

  /// The state at the end.
  NamedTensors run(bool resume, Team& team) {
    TinySource source;
    TinyObjective objective({at::kDouble, at::kFloat, at::kBFloat16});
    Training training(config, source, objective);
    Checkpoints checkpoints(fs, output, {.every = config.save_every, .keep = 2}, identity);
    began = checkpoints.open(resume, checkpoint_bytes(training), team);
    notes = checkpoints.notes();
    checkpoints.restore(training);
    int64_t step = 0;
    Hooks hooks = {[&](StepEvent& event) { step = event.step; },
                   pause_when([&] { return step == stop_at; }, team)};
    if (team.first()) hooks.push_back(metrics_file(fs, output, began));
    hooks.insert(hooks.end(), more.begin(), more.end());
    hooks.push_back(save_checkpoints(checkpoints, training, team));
    hooks.push_back([&](StepEvent& event) { promised = event.saved() ? event.step : promised; });
    result = fit(training, team, hooks);
    return copied(training.state());
  }
  NamedTensors run(bool resume) {
    Alone team;
    return run(resume, team);
  }
};

/// The bytes of the files of a run that must not depend on when it was stopped.
inline std::map<std::string, std::string> lasting_files(Fs& fs, const std::string& output = "out",
                                                        int64_t step = kSteps) {
  std::map<std::string, std::string> files;
  const std::string folder = join_path(output, "checkpoint-" + std::to_string(step));
  for (const std::string& name : fs.list(folder))
    files[name] = read_file(fs, join_path(folder, name), 1 << 24);
  files["metrics.jsonl"] = read_file(fs, join_path(output, "metrics.jsonl"), 1 << 24);
  return files;
}

}  // namespace prefer::testing
