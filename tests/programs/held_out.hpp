// Real pairs that a tiny model learns in seconds, and the figures that a program says at its end.
#pragma once

#include "prefer/eval/bootstrap.hpp"
#include "tests/programs/dpo.hpp"

#include <algorithm>
#include <cstdio>

namespace prefer::testing {

inline std::filesystem::path polite_pairs() {
  return shared_data("preference/rasbt/instruction-data-with-preference.json");
}

/// Records `first` to `last` of the 1,100 pairs of a polite and an impolite answer, as the program reads
/// pairs.
inline std::string polite_file(const TempDir& dir, const std::string& name, std::size_t first,
                               std::size_t last) {
  PosixFs fs;
  const Json all = parse_json(read_file(fs, polite_pairs().string(), 1 << 24), "pairs");
  std::vector<std::string> lines;
  for (std::size_t i = first; i < last; ++i) {
    const Json& pair = all.as_array().at(i);
    if (pair.at("chosen") == pair.at("rejected")) continue;
    lines.push_back(dump(Json::object({{"prompt", pair.at("instruction").as_string() + "\n"},
                                       {"chosen", pair.at("chosen")},
                                       {"rejected", pair.at("rejected")}})));
  }
  return file_of(dir, name, lines);
}

/// A file of HH-RLHF's human preferences (Bai et al. 2022, arXiv 2204.05862).
inline std::filesystem::path hh_pairs(const std::string& name) {
  return shared_data("preference/hh-rlhf/" + name + ".test.jsonl.gz");
}

/// The first `count` of them of which both sides are short, as the lines they are.
inline std::vector<std::string> short_hh_lines(const std::string& name, std::size_t count) {
  constexpr std::size_t kBytes = 500;
  PosixFs fs;
  LineReader reader(fs, hh_pairs(name));
  std::vector<std::string> lines;
  for (Line line; lines.size() < count && reader.next(line);) {
    const Json pair = reader.record(line);
    if (std::max(pair.at("chosen").as_string().size(), pair.at("rejected").as_string().size()) <= kBytes)
      lines.emplace_back(line.text);
  }
  return lines;
}

/// A figure as the program says it at the end: "NAME: mean [low, high]".
inline Interval figure(const std::string& log, const std::string& name) {
  const std::size_t at = log.rfind(name + ": ");
  Interval value;
  if (at == std::string::npos) fail("the log has no ", name);
  if (std::sscanf(log.c_str() + at + name.size() + 2, "%lf [%lf, %lf]", &value.mean, &value.low,
                  &value.high) != 3)
    fail("the log has no interval of ", name);
  return value;
}

}  // namespace prefer::testing
