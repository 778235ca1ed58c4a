// Metrics and times as JSON lines that a resumed run continues as if it had never stopped.
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/train/hooks.hpp"

#include <cmath>
#include <memory>

namespace prefer {
namespace {

constexpr std::uint64_t kLargest = std::uint64_t{1} << 32;

/// The whole lines of `text` up to the first one that is of a later step than `last`, or is none of ours.
std::string_view lines_up_to(std::string_view text, const std::string& path, int64_t last) {
  std::size_t kept = 0;
  for (std::size_t end; (end = text.find('\n', kept)) != std::string_view::npos; kept = end + 1) {
    try {
      if (parse_json(text.substr(kept, end - kept), path).at("step").as_integer() > last) break;
    } catch (const Error&) {
      break;
    }
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
  line.set("tokens", event.tokens);
  return dump(line) + "\n";
}

}  // namespace

Hook metrics_file(Fs& fs, const std::string& folder, int64_t first) {
  const auto metrics = reopen(fs, join_path(folder, "metrics.jsonl"), first);
  const auto times = reopen(fs, join_path(folder, "times.jsonl"), first);
  return [metrics, times](StepEvent& event) {
    metrics->write(metrics_line(event));
    times->write(times_line(event));
    if (!event.save) return;
    metrics->sync();
    times->sync();
  };
}

}  // namespace prefer
