// What every program's main does: read the config, run, and turn errors into one line and an exit code.
#pragma once

#include "prefer/core/config.hpp"

#include <exception>
#include <functional>
#include <map>
#include <string>

namespace prefer {

/// Environment variables by name. The library looks up none by itself: a program's main hands them over.
using Environment = std::map<std::string, std::string>;

/// The third argument of main as a value: NAME=VALUE texts, a null pointer behind the last.
Environment environment(const char* const* variables);

/// Thrown where a signal, or a hook's pause, ended the work early and everything is saved. It is no Error.
class Stopped : public std::exception {
 public:
  explicit Stopped(int signal) : signal_(signal) {}
  int signal() const { return signal_; }  ///< 0: a hook
  const char* what() const noexcept override {
    return signal_ == 0 ? "paused by a hook" : "stopped by a signal";
  }
  /// What a program ends with: 128 + the signal, as shells say it, or 75, which sysexits.h calls EX_TEMPFAIL:
  /// to be tried again.
  int exit_code() const { return signal_ == 0 ? 75 : 128 + signal_; }

 private:
  int signal_;
};

/// 0: done, or help was asked for (printed on stdout); 1: the input or the config is wrong (Error); 2: the
/// program is (any other exception); 75 or 128 + the signal: Stopped, so that whoever waits for the work does
/// not take it for done. Messages go to stderr, one line.
[[nodiscard]] int run_guarded(const std::function<void()>& body);

/// `int main(int argc, char** argv) { return prefer::run_program<MyConfig>(argc, argv, my_function); }`
template <class Config, class Body>
[[nodiscard]] int run_program(int argc, const char* const* argv, Body&& body) {
  return run_guarded([&] { body(read_program_arguments<Config>(argc, argv)); });
}

}  // namespace prefer
