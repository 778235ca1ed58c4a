// What makes two runs the same run.
#pragma once

#include "prefer/core/json.hpp"

#include <map>
#include <string>
#include <vector>

namespace prefer {

/// What a run is. A run continues another only with the same config, apart from `free` keys, and the same
/// inputs; another route or instruction set is allowed and said, as the bits then differ.
struct RunIdentity {
  Json config = Json::object();  ///< resolved
  /// Fingerprint of each file or model the run reads, by what it is.
  std::map<std::string, std::string> inputs = {};
  std::string route = {};    ///< of the matrix products
  std::string isa = {};      ///< of the CPU: instruction_sets
  std::string version = {};  ///< of the program
  /// Keys, with all below them, that do not change what a step computes.
  std::vector<std::string> free = {};

  /// The identity as it stands in a manifest, the config without free keys.
  Json to_json() const;
  /// What keeps this run from continuing the one that wrote `manifest`, naming it: "loss.beta was 0.1 and is
  /// 0.2". Empty where nothing does.
  std::string obstacle(const Json& manifest) const;
  /// What makes the bits differ from those of that run: "avx2 instead of avx512". Empty where they are the
  /// same.
  std::string drift(const Json& manifest) const;
};

/// Where two values first differ: "config.loss.beta is 0.1 and 0.2". Empty where they do not; a
/// member that only `b` has, null or an empty list, is none.
std::string first_difference(const Json& a, const Json& b);

}  // namespace prefer
