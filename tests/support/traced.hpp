// Counts how often a program asks the kernel for memory, or gives some back.
#pragma once

#include <fcntl.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <cstdint>
#include <string>
#include <vector>

namespace prefer::testing {

/// A run that was watched; `code` -1: the system permits no tracing.
struct Watched {
  int code = -1;
  std::int64_t mappings = 0;  ///< calls of mmap, munmap, mremap and brk, in all its threads
};

/// Whether the thread has just stopped because it begins such a call.
inline bool asks_for_memory(pid_t thread) {
  __ptrace_syscall_info call{};
  if (ptrace(PTRACE_GET_SYSCALL_INFO, thread, sizeof call, &call) <= 0) return false;
  if (call.op != PTRACE_SYSCALL_INFO_ENTRY) return false;
  return call.entry.nr == SYS_mmap || call.entry.nr == SYS_munmap || call.entry.nr == SYS_mremap ||
         call.entry.nr == SYS_brk;
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

inline Watched watch_mappings(std::vector<std::string> words) {
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);
  const pid_t program = fork();
  if (program == 0) run_traced(argv);
  constexpr long kCall = SIGTRAP | 0x80,
                 kOptions = PTRACE_O_TRACESYSGOOD | PTRACE_O_TRACECLONE | PTRACE_O_EXITKILL;
  Watched watched;
  int status = 0;
  if (program < 0 || waitpid(program, &status, 0) < 0 || !WIFSTOPPED(status)) return watched;
  ptrace(PTRACE_SETOPTIONS, program, nullptr, kOptions);
  ptrace(PTRACE_SYSCALL, program, nullptr, nullptr);
  for (pid_t thread; (thread = waitpid(-1, &status, __WALL)) > 0;) {
    if (thread == program && WIFEXITED(status)) watched.code = WEXITSTATUS(status);
    if (!WIFSTOPPED(status)) continue;
    const int signal = WSTOPSIG(status);
    watched.mappings += signal == kCall && asks_for_memory(thread);
    const bool of_tracing = signal == kCall || signal == SIGTRAP || signal == SIGSTOP;
    ptrace(PTRACE_SYSCALL, thread, nullptr, of_tracing ? 0 : static_cast<long>(signal));
  }
  return watched;
}

}  // namespace prefer::testing
