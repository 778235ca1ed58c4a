// Records of any kind, ready to be trained on: what every reader of training data ends in.
#pragma once

#include "prefer/data/forest.hpp"
#include "prefer/data/records.hpp"

#include <string>
#include <utility>
#include <vector>

namespace prefer {

/// A record is a group of sequences that meet in one loss: a pair, K answers, or one alone.
using Record = std::vector<Sequence>;

struct Dataset {
  std::vector<Record> records = {};
  std::vector<std::string> asked = {};  ///< of each record, what tells its prompt before truncation; or none
  std::string fingerprint = {};         ///< SHA-256 of all that a loss can see of the records, in order
  std::string counts = {};              ///< one line: how many, how long, what was cut
  /// What a report counts beside what was skipped.
  std::vector<std::pair<std::string, std::int64_t>> noted = {};
  Skipped skipped = {};
};

}  // namespace prefer
