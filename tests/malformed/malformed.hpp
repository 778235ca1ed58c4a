// One malformed input of a program and the line that is said of it; the tables of them are beside this file.
#pragma once

#include "tests/malformed/good.hpp"

#include <cstdlib>

namespace prefer::testing {

/// Which part of a program sees the fault: what it reads below LibTorch, which sanitizers watch, or the rest.
enum class Seen { by_readers, by_program };

/// A run of `program` in a folder of good_files() over which `files` are put: a file's bytes, or, for a name
/// that ends with '/', a folder. "@/" stands for that folder, in `line` and in `arguments`; "..." at the
/// end of a line for any more of it.
struct Malformed {
  std::string name;
  std::string program;
  std::string line;
  Files files = {};
  std::vector<std::string> arguments = {};  ///< behind what every run of the program is given
  Seen seen = Seen::by_readers;
};

/// The command line: what every run of the program is given, and the arguments; a config file, which has no
/// '=', comes first.
inline std::vector<std::string> command_of(const Malformed& malformed) {
  std::vector<std::string> command = {"model=@/model", "threads=1"};
  const bool learns = malformed.program == "sft" || malformed.program == "kto",
             judges = malformed.program == "reward";
  if (learns || judges || malformed.program == "dpo") {
    command.push_back(learns ? "train=@/texts.jsonl" : "train=@/pairs.jsonl");
    command.insert(command.end(), {"output=@/out", "steps=1", "batch_size=2"});
  } else if (malformed.program == "ppo") {
    command.insert(command.end(), {"train=@/pairs.jsonl", "output=@/out", "iterations=1", "batch_size=2",
                                   "response_length=4", "lexicon=@/lexicon.txt"});
  } else {
    command.push_back("input=@/in.jsonl");
  }
  for (const std::string& word : malformed.arguments)
    command.insert(word.starts_with("@/") ? command.begin() : command.end(), word);
  return command;
}

/// `text` with "@/" made the folder.
inline std::string placed(std::string text, const std::string& folder) {
  for (std::size_t at = text.find("@/"); at != std::string::npos; at = text.find("@/", at + folder.size()))
    text.replace(at, 1, folder);
  return text;
}

}  // namespace prefer::testing
