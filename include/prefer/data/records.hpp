// Files of records, and what becomes of records that are no good: the run stops at the place, or they are
// counted.
#pragma once

#include "prefer/core/error.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

namespace prefer {

enum class OnBad { stop, skip };

/// What was left out, by reason: how often, and where first.
struct Skipped {
  struct Cases {
    std::int64_t count = 0;
    std::vector<std::string> first = {};  ///< "file:line:column" of the first few
  };
  std::map<std::string, Cases> reasons = {};
  std::int64_t blank_lines = 0;  ///< no records, and not in total()

  void add(const std::string& reason, const std::string& place);
  void add(const Skipped& other);
  std::int64_t total() const;
  /// "3 skipped: chosen equals rejected (2: pairs.jsonl:4:1, 9:1); ...; 2 blank lines"; empty when nothing
  /// was.
  std::string text() const;
};

/// A record that can't be used: what() is "place: reason".
class BadRecord : public Error {
 public:
  BadRecord(const std::string& place, const std::string& reason)
      : Error(place + ": " + reason), place_(place), reason_(reason) {}
  const std::string& place() const { return place_; }
  const std::string& reason() const { return reason_; }

 private:
  std::string place_, reason_;
};

/// Calls `take` with every record of a file, in order: JSONL, JSONL.gz, or one JSON array. Any Error that a
/// line or `take` gives makes the record bad: with `stop` it is thrown on (BadRecord), with `skip` counted.
/// What can't be gone on from (a missing file, damaged gzip, an array that is no JSON) is thrown in both.
/// Returns the number of records seen.
std::int64_t read_records(Fs& fs, const std::string& path, OnBad on_bad, Skipped& skipped,
                          const std::function<void(const Json&)>& take);

}  // namespace prefer
