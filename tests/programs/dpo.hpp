// A run of the dpo program that several tests make: TRL's 24 pairs on stories260K.
#pragma once

#include "prefer/core/fs.hpp"
#include "support/data.hpp"
#include "support/program.hpp"

#include <map>

namespace prefer::testing {

inline std::filesystem::path stories260k() { return shared_data("models/stories260K/hf"); }

/// tests/golden/trl_dpo.json, made by make_trl_dpo.py.
inline const Json& trl() {
  static const Json json = [] {
    PosixFs fs;
    return parse_json(read_file(fs, golden("trl_dpo.json"), 1 << 24), "trl_dpo.json");
  }();
  return json;
}

/// The pairs as the program reads them.
inline std::string pairs_file(const TempDir& dir) {
  std::vector<std::string> lines;
  for (const Json& pair : trl().at("pairs").as_array()) lines.push_back(dump(pair));
  return file_of(dir, "pairs.jsonl", lines);
}

/// The command line of the runs of make_trl_{dpo,sft,reward}.py, with `more` behind it.
inline CommandLine dpo_command(const std::string& pairs, const std::string& output,
                               const CommandLine& more = {}) {
  CommandLine command = {"model=" + stories260k().string(),
                         "train=" + pairs,
                         "output=" + output,
                         "steps=20",
                         "batch_size=4",
                         "shuffle=false",
                         "max_length=256",
                         "optimizer.learning_rate=1e-4",
                         "schedule.warmup_steps=4",
                         "threads=1"};
  command.insert(command.end(), more.begin(), more.end());
  return command;
}

inline std::vector<Json> metrics(const std::string& output) {
  PosixFs fs;
  return records(read_file(fs, output + "/metrics.jsonl", 1 << 24));
}

/// The bytes of all that a run leaves behind and that must not depend on when it was stopped.
inline std::map<std::string, std::string> lasting_files(const std::string& output, int64_t last) {
  PosixFs fs;
  std::map<std::string, std::string> files;
  for (const std::string& folder : {std::string("model"), "checkpoint-" + std::to_string(last)}) {
    for (const std::string& name : fs.list(output + "/" + folder)) {
      files[folder + "/" + name] = read_file(fs, output + "/" + folder + "/" + name, 1 << 28);
    }
  }
  files["metrics.jsonl"] = read_file(fs, output + "/metrics.jsonl", 1 << 24);
  return files;
}

}  // namespace prefer::testing
