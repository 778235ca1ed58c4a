// Runs the project's programs as their users do: as processes of their own, by their command lines.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/core/lines.hpp"
#include "prefer/core/program.hpp"
#include "support/temp_dir.hpp"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/wait.h>

#include <string>
#include <vector>

namespace prefer::testing {

using CommandLine = std::vector<std::string>;

/// What a program left behind: its exit code, or minus the signal that ended it; what it wrote.
struct Ran {
  int code = 0;
  std::string out, err;
};

/// A program that is running, its output going to files of its own.
class Program {
 public:
  /// `variables` are put beside those of this process, or in the place of those it has.
  Program(const std::string& name, const CommandLine& arguments, const Environment& variables = {}) {
    CommandLine words = {PREFER_BIN_DIR "/" + name};
    words.insert(words.end(), arguments.begin(), arguments.end());
    Environment all = variables;
    all.merge(environment(environ));
    CommandLine settings;
    for (const auto& [variable, value] : all) settings.push_back(variable + "=" + value);
    std::vector<char*> argv, envp;
    for (std::string& word : words) argv.push_back(word.data());
    for (std::string& setting : settings) envp.push_back(setting.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    posix_spawn_file_actions_t files;
    posix_spawn_file_actions_init(&files);
    const std::string out = dir_ / "out", err = dir_ / "err";
    posix_spawn_file_actions_addopen(&files, 1, out.c_str(), O_WRONLY | O_CREAT, 0600);
    posix_spawn_file_actions_addopen(&files, 2, err.c_str(), O_WRONLY | O_CREAT, 0600);
    const int error = posix_spawn(&pid_, argv[0], &files, nullptr, argv.data(), envp.data());
    posix_spawn_file_actions_destroy(&files);
    if (error != 0) fail("could not start ", words[0], ": error ", error);
  }
  Program(const Program&) = delete;
  Program& operator=(const Program&) = delete;
  ~Program() {
    signal(SIGKILL);
    if (pid_ > 0) end();
  }

  void signal(int number) {
    if (pid_ > 0) kill(pid_, number);
  }
  pid_t id() const { return pid_; }
  Ran end() {
    int status = 0;
    waitpid(pid_, &status, 0);
    pid_ = 0;
    return {WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status), written("out"), written("err")};
  }
  /// So far, to "out" or "err".
  std::string written(const std::string& where) {
    PosixFs fs;
    return read_file(fs, dir_ / where, std::uint64_t{1} << 30);
  }

 private:
  TempDir dir_;
  pid_t pid_ = 0;
};

inline Ran run(const std::string& name, const CommandLine& arguments, const Environment& variables = {}) {
  return Program(name, arguments, variables).end();
}

/// The JSON lines that a program wrote.
inline std::vector<Json> records(const std::string& text) {
  std::vector<Json> result;
  for (std::size_t begin = 0, end; (end = text.find('\n', begin)) != std::string::npos; begin = end + 1) {
    result.push_back(parse_json(text.substr(begin, end - begin), "stdout"));
  }
  return result;
}

/// A file of `dir` that holds these lines; its path.
inline std::string file_of(const TempDir& dir, const std::string& name,
                           const std::vector<std::string>& lines) {
  PosixFs fs;
  std::string text;
  for (const std::string& line : lines) text += line + "\n";
  write_file_atomically(fs, dir / name, text);
  return dir / name;
}

}  // namespace prefer::testing
