// Walks over the records of a file and keeps the books on bad ones.
#include "prefer/data/records.hpp"

#include "prefer/core/lines.hpp"

#include <algorithm>
#include <cctype>

namespace prefer {
namespace {

constexpr std::size_t kPlaces = 5;
constexpr std::size_t kReasons = 40;
constexpr std::size_t kMaxArray = std::size_t{1} << 30;
constexpr std::size_t kMaxValues = std::size_t{64} << 20;  // of all its records, 4 GiB

/// "file:line:column: reason" taken apart; a message without a place is all reason.
std::pair<std::string, std::string> taken_apart(const std::string& what) {
  for (std::size_t at = what.find(": "); at != std::string::npos; at = what.find(": ", at + 1)) {
    std::size_t begin = at;
    int numbers = 0;
    while (numbers < 2) {
      std::size_t digits = begin;
      while (digits > 0 && std::isdigit(static_cast<unsigned char>(what[digits - 1]))) --digits;
      if (digits == begin || digits == 0 || what[digits - 1] != ':') break;
      begin = digits - 1;
      ++numbers;
    }
    if (numbers == 2) return {what.substr(0, at), what.substr(at + 2)};
  }
  return {"", what};
}

/// Runs `body`; what it complains about is thrown on, as BadRecord where a place is known, or counted.
template <class Body>
void guarded(OnBad on_bad, Skipped& skipped, const Body& body) {
  try {
    body();
  } catch (const BadRecord& bad) {
    if (on_bad == OnBad::stop) throw;
    skipped.add(bad.reason(), bad.place());
  } catch (const Error& error) {
    const auto [place, reason] = taken_apart(error.what());
    if (on_bad == OnBad::skip) return skipped.add(reason, place);
    if (place.empty()) throw;
    throw BadRecord(place, reason);
  }
}

std::int64_t read_array(Fs& fs, const std::string& path, OnBad on_bad, Skipped& skipped,
                        const std::function<void(const Json&)>& take) {
  const std::string text = read_file(fs, path, kMaxArray);
  if (text.starts_with("\x1f\x8b")) fail(path, ":1:1: a JSON array must not be packed; JSONL may be");
  const Json all = parse_json(
      text, path,
      JsonLimits{.max_bytes = kMaxArray, .max_values = kMaxValues, .big_integers_as_double = true});
  for (const Json& record : all.as_array()) {
    guarded(on_bad, skipped, [&] { take(record); });
  }
  return static_cast<std::int64_t>(all.size());
}

}  // namespace

void Skipped::add(const std::string& reason, const std::string& place) {
  const bool room = reasons.size() < kReasons || reasons.contains(reason);
  Cases& cases = reasons[room ? reason : "other reasons"];
  ++cases.count;
  if (cases.first.size() < kPlaces && !place.empty()) cases.first.push_back(place);
}

void Skipped::add(const Skipped& other) {
  blank_lines += other.blank_lines;
  for (const auto& [reason, cases] : other.reasons) {
    Cases& mine = reasons[reason];
    mine.count += cases.count;
    for (const std::string& place : cases.first) {
      if (mine.first.size() < kPlaces) mine.first.push_back(place);
    }
  }
}

std::int64_t Skipped::total() const {
  std::int64_t sum = 0;
  for (const auto& [reason, cases] : reasons) sum += cases.count;
  return sum;
}

namespace {

/// "pairs.jsonl:" of "pairs.jsonl:4:1".
std::string_view file_of(std::string_view place) {
  const std::size_t column = place.rfind(':');
  const std::size_t line = column == std::string_view::npos ? column : place.rfind(':', column - 1);
  return place.substr(0, line == std::string_view::npos ? 0 : line + 1);
}

}  // namespace

std::string Skipped::text() const {
  std::string out = reasons.empty() ? "" : std::to_string(total()) + " skipped: ";
  bool first_reason = true;
  for (const auto& [reason, cases] : reasons) {
    if (!first_reason) out += "; ";
    first_reason = false;
    out += reason + " (" + std::to_string(cases.count);
    for (std::size_t i = 0; i < cases.first.size(); ++i) {
      const bool same_file = i > 0 && file_of(cases.first[i]) == file_of(cases.first[i - 1]);
      out += (i == 0 ? ": " : ", ") +
             (same_file ? cases.first[i].substr(file_of(cases.first[i]).size()) : cases.first[i]);
    }
    if (static_cast<std::size_t>(cases.count) > cases.first.size()) out += ", ...";
    out += ")";
  }
  if (blank_lines == 0) return out;
  return out + (out.empty() ? "" : "; ") + std::to_string(blank_lines) +
         (blank_lines == 1 ? " blank line" : " blank lines");
}

std::int64_t read_records(Fs& fs, const std::string& path, OnBad on_bad, Skipped& skipped,
                          const std::function<void(const Json&)>& take) {
  LineReader lines(fs, path);
  if (lines.begins_with('[')) {
    if (path == "-" || path == "/dev/stdin")
      fail(path, ":1:1: a JSON array is read from a file, not from the standard input; JSONL is from both");
    return read_array(fs, path, on_bad, skipped, take);
  }
  Line line;
  std::int64_t count = 0;
  while (lines.next(line)) {
    ++count;
    guarded(on_bad, skipped, [&] { take(lines.record(line)); });
  }
  skipped.blank_lines += lines.blank_lines();
  return count;
}

}  // namespace prefer
