// Metrics and times as JSON lines that a resumed run continues as if it had never stopped.
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/train/hooks.hpp"

#include <cmath>
#include <memory>

namespace prefer {
namespace {

constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;

/// The whole lines of `text` that are of steps up to `last`. Behind them a run that was killed may have left
/// anything; throws Error where a line before them is none of ours, as what follows it would be lost.
std::string_view lines_up_to(std::string_view text, const std::string& path, int64_t last) {
  std::size_t kept = 0, line = 1;
  int64_t step = 0;
  for (std::size_t end; step < last && (end = text.find('\n', kept)) != std::string_view::npos; ++line) {
    try {
      step = parse_json(text.substr(kept, end - kept), path).at("step").as_integer();
    } catch (const Error&) {
      fail(path, ":", line, ": is no line of a run that went to step ", last, "; mend or remove the file");
    }
    if (step > last) break;
    kept = end + 1;
  }
  return text.substr(0, kept);
}

/// `path` for appending, cut to its lines of steps up to `last`.
std::shared_ptr<File> reopen(Fs& fs, const std::string& path, int64_t last) {
  if (fs.exists(path)) {
    const std::string text = read_file(fs, path, kLargest);
    const std::string_view kept = lines_up_to(text, path, last);
    if (kept.size() < text.size()) write_file_atomically(fs, path, kept);
  }
  auto file = std::make_shared<File>(File::append(fs, path));
  fs.sync_directory(parent_directory(path));
  return file;
}

Json number(double value) { return std::isfinite(value) ? Json(value) : Json(); }  // JSON has no NaN

std::string metrics_line(const StepEvent& event) {
  Json line = Json::object();
  line.set("step", event.step);
  for (const auto& [name, value] : event.metrics) line.set(name, number(value));
  if (!event.skipped.empty()) line.set("skipped", event.skipped);
  return dump(line) + "\n";
}

std::string times_line(const StepEvent& event) {
  Json line = Json::object();
  line.set("step", event.step).set("time", event.now).set("seconds", event.seconds);
  line.set("tokens", event.tokens).set("page_faults", event.page_faults);
  for (const auto& [name, value] : event.times) line.set(name, number(value));
  return dump(line) + "\n";
}

}  // namespace

Hook metrics_file(Fs& fs, const std::string& folder, int64_t first) {
  const auto metrics = reopen(fs, join_path(folder, "metrics.jsonl"), first);
  const auto times = reopen(fs, join_path(folder, "times.jsonl"), first);
  return [&fs, folder, metrics, times](StepEvent& event) {
    const std::string line = metrics_line(event);
    with_space(fs, folder, static_cast<int64_t>(line.size()), [&] {
      metrics->write(line);
      times->write(times_line(event));
      if (!event.saved()) return;
      metrics->sync();
      times->sync();
    });
  };
}

}  // namespace prefer
