// Commits, finds, restores and retires the checkpoints of an output folder.
#include "prefer/train/checkpoint.hpp"

#include "prefer/core/error.hpp"
#include "prefer/dist/team.hpp"
#include "prefer/train/checkpoint_folder.hpp"
#include "prefer/train/fit.hpp"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>

namespace prefer {
namespace {

constexpr std::string_view kPrefix = "checkpoint-";

/// The step of a folder's name, or -1 for a name of another kind.
int64_t step_of(std::string_view name) {
  if (!name.starts_with(kPrefix)) return -1;
  const std::string_view digits = name.substr(kPrefix.size());
  int64_t step = -1;
  const auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), step);
  const bool plain = error == std::errc() && end == digits.data() + digits.size();
  return plain && std::to_string(step) == digits ? step : -1;
}

/// Whether a killed save left it: ".tmp-STEP-PROCESS", or ".trash-" and a checkpoint's name.
bool is_leftover(std::string_view name) {
  constexpr std::string_view kMaking = ".tmp-", kRetired = ".trash-";
  if (name.starts_with(kRetired)) return step_of(name.substr(kRetired.size())) >= 0;
  if (!name.starts_with(kMaking)) return false;
  const std::string_view numbers = name.substr(kMaking.size());
  return numbers.find_first_not_of("0123456789-") == std::string_view::npos;
}

/// What goes on without a checkpoint begins anew: not over what a finished run, or somebody else, has made.
void check_begun(Fs& fs, const std::string& output) {
  for (const char* name : {"model", "report.html"}) {
    if (fs.exists(join_path(output, name)))
      fail("output ", output, " holds ", name,
           " and no checkpoint to go on from; choose another folder, or remove ", name, " to begin again");
  }
  const std::string config = join_path(output, "config.json");
  if (!fs.exists(config)) return;
  const Json there = parse_json(read_file(fs, config, 1 << 20), config);
  if (!there.is_object() || !there.contains("output") || !there.contains("checkpoint"))
    fail("output ", output, " holds a config.json that no run wrote; choose another folder");
}

int64_t stored_bytes(const NamedTensors& state) {
  int64_t bytes = int64_t{1} << 20;  // headers and the manifest
  for (const auto& [_, tensor] : state) bytes += static_cast<int64_t>(tensor.nbytes());
  return bytes;
}

/// Makes a folder whose name, and those of the folders made for it, survive a power loss.
void make_lasting_directories(Fs& fs, const std::string& path) {
  std::vector<std::string> made = {path};
  for (std::string above = parent_directory(path); !fs.exists(above); above = parent_directory(above)) {
    made.push_back(above);
  }
  make_directories(fs, path);
  for (const std::string& folder : made) fs.sync_directory(parent_directory(folder));
}

/// Throws FsError where the folder cannot be kept to this process, Error where another has it.
File kept_to_this_process(Fs& fs, const std::string& output) {
  try {
    return File::lock(fs, output);
  } catch (const FsError& error) {
    if (error.error_number() != EWOULDBLOCK) throw;
    fail("output ", output,
         ": another process is at work in it; wait until it ends, or choose another folder");
  }
}

}  // namespace

void CheckpointConfig::describe(Fields& f) {
  f("every", every,
    "steps (PPO: iterations) from one checkpoint to the next; 0 = only at the end and on a signal",
    within(0, kMostSteps));
  f("keep", keep, "how many of the newest are kept", at_least(1));
}

void check_output(Fs& fs, const std::string& output, bool resume) {
  std::string there = output;
  while (!fs.exists(there)) there = parent_directory(there);
  if (fs.status(there)->kind != FileKind::directory)
    fail("output ", output, " cannot be a folder: ", there, " is a file");
  const std::vector<std::string> names = there == output ? fs.list(output) : std::vector<std::string>();
  if (names.empty()) return;
  try {
    kept_to_this_process(fs, output);
  } catch (const FsError&) {  // a file system without locks; the run says so when it begins
  }
  const auto saved = std::ranges::find_if(names, [](const std::string& name) { return step_of(name) >= 0; });
  if (resume && saved == names.end()) check_begun(fs, output);
  if (resume) return;
  if (saved == names.end())
    fail("output ", output, " holds ", names.front(),
         " and no checkpoint; choose another folder, or empty it");
  fail("output ", output, " is in use: it holds ", *saved,
       "; resume=true continues, or choose another folder");
}

Checkpoints::Checkpoints(Fs& fs, std::string output, CheckpointConfig config, RunIdentity identity)
    : fs_(fs), output_(std::move(output)), config_(config), identity_(std::move(identity)) {}

std::string Checkpoints::path(int64_t step) const {
  return join_path(output_, std::string(kPrefix) + std::to_string(step));
}

std::vector<int64_t> Checkpoints::steps() const {
  std::vector<int64_t> result;
  for (const std::string& name : fs_.list(output_)) {
    if (step_of(name) >= 0) result.push_back(step_of(name));
  }
  std::ranges::sort(result, std::greater<>());
  return result;
}

int64_t Checkpoints::open(bool resume, int64_t bytes, Team& team) {
  team.on_first([&] {
    found_ = find(resume);
    check_space(bytes);
  });
  found_ = static_cast<int64_t>(team.gather(static_cast<double>(found_)).front());
  return found_;
}

int64_t Checkpoints::find(bool resume) {
  check_output(fs_, output_, resume);
  make_lasting_directories(fs_, output_);
  lock();
  for (const std::string& name : fs_.list(output_)) {
    if (is_leftover(name)) remove_all(fs_, join_path(output_, name));
  }
  std::string first_damage;
  for (const int64_t step : steps()) {
    const std::optional<Json> manifest = good_manifest(step);
    if (!manifest) {
      damaged_.insert(step);
      if (first_damage.empty()) first_damage = notes_.back();
      continue;
    }
    accept(*manifest);
    const std::string drift = identity_.drift(*manifest);
    if (!drift.empty()) notes_.push_back("continued not bitwise from " + path(step) + ": " + drift);
    discard_before(step);  // a run that was killed right after a save left them
    return step;
  }
  if (first_damage.empty()) return 0;
  fail("resume=true, but output ", output_, " holds no good checkpoint: ", first_damage,
       "; remove what is damaged to begin again");
}

/// Nothing where the checkpoint is damaged, which is noted.
std::optional<Json> Checkpoints::good_manifest(int64_t step) {
  try {
    Json manifest = checked_manifest(fs_, path(step));
    if (manifest.at("step").as_integer() != step)
      fail(path(step), ": is of step ", manifest.at("step").as_integer());
    for (const std::string& name : unlisted_files(fs_, path(step), manifest)) {
      notes_.push_back(join_path(path(step), name) + " is not in the manifest, and not read");
    }
    return manifest;
  } catch (const Error& e) {
    notes_.push_back(path(step) + " is damaged and left aside: " + e.what());
    return std::nullopt;
  }
}

void Checkpoints::lock() {
  try {
    lock_.emplace(kept_to_this_process(fs_, output_));
  } catch (const FsError& error) {
    if (error.error_number() != ENOLCK && error.error_number() != EOPNOTSUPP &&
        error.error_number() != ENOSYS)
      throw;
    notes_.push_back(std::string(error.what()) + "; see to it that no other process works there");
  }
}

void Checkpoints::accept(const Json& manifest) const {
  const std::string obstacle = identity_.obstacle(manifest);
  if (obstacle.empty()) return;
  fail("resume=true, but ", obstacle, " since ", path(manifest.at("step").as_integer()),
       "; put it back, or choose another output");
}

void Checkpoints::check_space(int64_t bytes) const {
  const auto held = static_cast<int64_t>(steps().size());
  const int64_t need = (bytes + bytes / 20) * std::max<int64_t>(1, config_.keep + 1 - held);
  const auto free = static_cast<int64_t>(fs_.free_bytes(output_));
  if (need <= free) return;
  fail("output ", output_, " wants ", bytes_text(need), " for checkpoints of ", bytes_text(bytes), ", and ",
       bytes_text(free), " are free; checkpoint.keep is ", config_.keep);
}

void Checkpoints::restore(Training& training) const {
  if (found_ > 0) training.restore(found_, read_checkpoint_folder(fs_, path(found_)));
}

void Checkpoints::save(int64_t step, const NamedTensors& state) {
  const std::string temporary =
      join_path(output_, ".tmp-" + std::to_string(step) + "-" + std::to_string(getpid()));
  try {
    remove_all(fs_, temporary);
    make_or_remove(fs_, temporary, stored_bytes(state), [&] {
      Json about = identity_.to_json();
      about.set("format", 1).set("step", step);
      write_checkpoint_folder(fs_, temporary, std::move(about), state);
      commit(step, temporary);
    });
  } catch (const Error& e) {
    fail(path(step), " could not be saved: ", e.what());
  }
  discard_before(step);
}

void Checkpoints::discard_before(int64_t step) {
  int64_t kept = 0;
  for (const int64_t other : steps()) {
    if (other > step) continue;
    if (kept == config_.keep)
      discard(path(other));
    else
      kept += !damaged_.contains(other);
  }
}

void Checkpoints::commit(int64_t step, const std::string& temporary) {
  if (fs_.exists(path(step))) discard(path(step));  // damaged, or this run would have continued from it
  damaged_.erase(step);
  fs_.rename(temporary, path(step));
  fs_.sync_directory(output_);
}

void Checkpoints::discard(const std::string& folder) {
  const std::string trash = join_path(output_, ".trash-" + folder.substr(folder.rfind('/') + 1));
  remove_all(fs_, trash);
  fs_.rename(folder, trash);
  remove_all(fs_, trash);
}

Hook save_checkpoints(Checkpoints& checkpoints, Training& training, Team& team) {
  return [&](StepEvent& event) {
    if (event.saved()) team.on_first([&] { checkpoints.save(event.step, training.state()); });
  };
}

int64_t checkpoint_bytes(const Training& training) {
  NamedTensors others = training.weights();
  others.merge(training.source.state());
  others.merge(training.objective.state());
  return stored_bytes(others) + training.optimizer.state_bytes();
}

}  // namespace prefer
