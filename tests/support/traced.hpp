// Runs a program under the eyes of its test: each system call is seen before it happens.
#pragma once

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <vector>

namespace prefer::testing {

/// The number of the system call that the thread begins; none where it stopped for something else.
inline std::optional<std::uint64_t> call_begun(pid_t thread) {
  __ptrace_syscall_info call{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) <= 0) return std::nullopt;
  if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return std::nullopt;
  return call.entry.nr;
}

[[noreturn]] inline void run_traced(std::vector<char*> argv) {
  const int null = open("/dev/null", O_WRONLY);
  dup2(null, 1);
  dup2(null, 2);
  if (ptrace(PTRACE_TRACEME, 0, nullptr, nullptr) != 0) _exit(126);
  raise(SIGSTOP);  // until the options are set
  execv(argv[0], argv.data());
  _exit(127);
}

/// Runs the program to its end, or until `before_call` of a system call, in any of its threads, says to kill
/// it there. Its exit code, or minus the signal that ended it; none where the system permits no tracing.
inline std::optional<int> trace(std::vector<std::string> words,
                                const std::function<bool(std::uint64_t)>& before_call) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t program = fork();
  if (program == 0) run_traced(argv);
  constexpr long kCall = SIGTRAP | 0x80,
                 kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  int status = 0;
  if (program < 0 || waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status)) return std::nullopt;
  ptrace(PTRACE_SETOPTIONS, program, nullptr, kOptions);
  ptrace(PTRACE_SYSCALL, program, nullptr, nullptr);
  std::optional<int> result;
  for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
    if (thread == program && WIFEXITED(status)) result = WEXITSTATUS(status);
    if (thread == program && WIFSIGNALED(status)) result = -WTERMSIG(status);
    if (!WIFSTOPPED(status)) continue;
    const int signal = WSTOPSIG(status);
    const auto call = signal == kCall ? call_begun(thread) : std::nullopt;
    if (call && before_call(*call)) kill(program, SIGKILL);
    const bool of_tracing = signal == kCall || signal == SIGTRAP || signal == SIGSTOP;
    ptrace(PTRACE_SYSCALL, thread, nullptr, of_tracing ? 0 : static_cast<long>(signal));
  }
  return result;
}

}  // namespace prefer::testing
