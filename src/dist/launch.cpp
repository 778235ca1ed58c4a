// Starts the ranks of a program as processes of this machine, reads what they say, and ends them together.
#include "prefer/dist/launch.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/program.hpp"
#include "prefer/dist/place.hpp"

#include <arpa/inet.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <csignal>
#include <cstring>
#include <filesystem>
#include <iostream>
#include <optional>
#include <utility>

namespace prefer {

void LaunchConfig::describe(Fields& f) {
  f("n", n, "how many ranks of the program that stands behind --: launch n=2 -- PROGRAM ARGUMENTS",
    within(1, 1024) & required());
  f("port", port, "where on this machine the ranks find each other; 0: a free one", within(0, 65535));
  f("all_output", all_output,
    "pass on the messages of all ranks, each line behind its rank, not of rank 0 alone");
}

namespace {

constexpr const char* kBehind = " -- PROGRAM ARGUMENTS";

int64_t free_port() {
  const int socket_number = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto* at = reinterpret_cast<sockaddr*>(&address);
  const bool found =
      socket_number >= 0 && bind(socket_number, at, size) == 0 && getsockname(socket_number, at, &size) == 0;
  if (!found) fail("no free port on this machine: ", std::strerror(errno));
  close(socket_number);
  return ntohs(address.sin_port);
}

bool can_be_run(const std::filesystem::path& file) {
  std::error_code unreadable;  // is passed over, as by a shell
  return std::filesystem::is_regular_file(file, unreadable) && access(file.c_str(), X_OK) == 0;
}

/// The program of this name as a shell finds it, by PATH; beside the program that calls, where PATH has none.
std::string found(const std::string& name, const Environment& variables) {
  if (name.find('/') != std::string::npos) return name;
  const auto at = variables.find("PATH");
  const std::string path = at == variables.end() ? "/bin:/usr/bin" : at->second;
  for (std::size_t begin = 0; begin <= path.size();) {
    const std::size_t end = std::min(path.find(':', begin), path.size());
    const auto file = std::filesystem::path(path.substr(begin, end - begin)) / name;  // of "" in this folder
    if (can_be_run(file)) return file.string();
    begin = end + 1;
  }
  const auto caller = std::filesystem::read_symlink("/proc/self/exe"), beside = caller.parent_path() / name;
  if (can_be_run(beside)) return beside.string();
  fail("there is no program ", name, " in PATH=", path, ", and none beside ", caller.string());
}

/// What each rank says it is at. The ranks write, also when they are killed; it is no file of any folder.
class StatusFile {
 public:
  explicit StatusFile(int64_t ranks) : size_(static_cast<size_t>(ranks) * kStatusBytes) {
    // A number that no script between launch and the program takes for its own; ranks inherit it.
    const int made = memfd_create(kStatusName, MFD_CLOEXEC);
    file_ = made < 0 ? made : fcntl(made, F_DUPFD, 300);
    if (made >= 0 && file_ < 0) file_ = fcntl(made, F_DUPFD, 3);  // fewer numbers are allowed
    if (file_ < 0 || ftruncate(file_, static_cast<off_t>(size_)) != 0)
      fail("could not make the status file: ", std::strerror(errno));
    close(made);
    void* at = mmap(nullptr, size_, PROT_READ, MAP_SHARED, file_, 0);
    if (at == MAP_FAILED) fail("could not map the status file: ", std::strerror(errno));
    text_ = static_cast<const char*>(at);
  }
  std::string path() const { return "/proc/self/fd/" + std::to_string(file_); }
  std::string of(int64_t rank) const {
    const char* text = text_ + rank * kStatusBytes;
    const std::string said(text, strnlen(text, kStatusBytes));
    return said.empty() ? "starting" : said;
  }

 private:
  size_t size_;
  int file_;
  const char* text_ = nullptr;
};

/// How a process ended, as waitpid has it; nothing while it runs. It stays known: while its group may be
/// signalled, its number becomes no other's.
std::optional<int> ended_as(pid_t process) {
  siginfo_t info{};
  if (waitid(P_PID, static_cast<id_t>(process), &info, WEXITED | WNOHANG | WNOWAIT) != 0 || info.si_pid == 0)
    return std::nullopt;
  return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}

/// A process of the team, and what it writes to its standard error output.
struct Rank {
  int64_t number = 0;
  pid_t process = 0;
  int messages = -1;  // the end that is read; -1 once it is closed
  std::string begun;  // of a line
  std::string error;  // the last line that begins with "error: "
  std::string last;   // the last of the others
  std::optional<int> status;
  int64_t ended_before = 0;  // how many had ended when it did
  bool ended_by_launch = false;

  bool failed() const { return status && *status != 0; }
  /// It left because another had.
  bool followed() const {
    const auto said = [&](const char* what) { return error.find(what) != std::string::npos; };
    return ended_by_launch || said(": another rank is gone: ") || said(" could not join the other ranks: ") ||
           said(", which did not come: ");
  }
  int code() const { return WIFEXITED(*status) ? WEXITSTATUS(*status) : 128 + WTERMSIG(*status); }
};

class Launch {
 public:
  Launch(const LaunchConfig& config, std::vector<std::string> command, Environment variables)
      : config_(config), command_(std::move(command)), variables_(std::move(variables)), status_(config.n) {
    if (command_.empty()) fail("launch wants the program behind --: launch n=", config.n, kBehind);
    command_.front() = found(command_.front(), variables_);
    if (config_.port == 0) config_.port = free_port();
    sigemptyset(&watched_);
    for (const int signal : {SIGCHLD, SIGINT, SIGTERM, SIGHUP}) sigaddset(&watched_, signal);
    sigprocmask(SIG_BLOCK, &watched_, nullptr);
    signals_ = signalfd(-1, &watched_, SFD_CLOEXEC | SFD_NONBLOCK);
    for (int64_t i = 0; i < config_.n; ++i) start(ranks_.emplace_back(Rank{.number = i}));
  }

  /// Waits for all ranks; the exit code of the first that failed, or 0.
  int run() {
    while (std::ranges::any_of(ranks_, [](const Rank& rank) { return !rank.status || rank.messages >= 0; })) {
      wait_for_news();
      for (Rank& rank : ranks_) read_messages(rank);
      see_signals();
      if (now() > end_of_grace_) end_all();
    }
    for (const Rank& rank : ranks_) waitpid(rank.process, nullptr, 0);
    const Rank* failed = first_failed();
    if (failed == nullptr) return 0;
    if (!stopped_) std::cerr << "error: " << last_words(*failed) << std::endl;
    return failed->code();
  }

 private:
  // The others see by themselves that a rank is gone and leave; those that are at work somewhere are then
  // ended.
  static constexpr double kGrace = 2;

  static double now() {
    timespec time{};
    clock_gettime(CLOCK_MONOTONIC, &time);
    return static_cast<double>(time.tv_sec) + 1e-9 * static_cast<double>(time.tv_nsec);
  }

  std::vector<std::string> environment_of(int64_t rank) const {
    Environment all = variables_;
    all.erase("TORCHELASTIC_USE_AGENT_STORE");
    all["RANK"] = all["LOCAL_RANK"] = std::to_string(rank);
    all["WORLD_SIZE"] = all["LOCAL_WORLD_SIZE"] = std::to_string(config_.n);
    all["MASTER_ADDR"] = "127.0.0.1";
    all["MASTER_PORT"] = std::to_string(config_.port);
    all["PREFER_STATUS"] = status_.path();
    std::vector<std::string> result;
    for (const auto& [name, value] : all) result.push_back(name + "=" + value);
    return result;
  }

  void start(Rank& rank) {
    std::vector<std::string> variables = environment_of(rank.number);
    std::vector<char*> argv, envp;
    for (std::string& word : command_) argv.push_back(word.data());
    for (std::string& variable : variables) envp.push_back(variable.data());
    argv.push_back(nullptr);
    envp.push_back(nullptr);
    int ends[2];
    if (pipe2(ends, O_CLOEXEC) != 0) fail("could not make a pipe: ", std::strerror(errno));
    rank.process = fork();
    if (rank.process < 0) fail("could not start rank ", rank.number, ": ", std::strerror(errno));
    if (rank.process == 0) {
      setpgid(0, 0);                     // so that a Ctrl-C comes by launch, once
      prctl(PR_SET_PDEATHSIG, SIGKILL);  // and none stays when launch is killed
      sigprocmask(SIG_UNBLOCK, &watched_, nullptr);
      dup2(ends[1], STDERR_FILENO);
      execvpe(argv[0], argv.data(), envp.data());
      dprintf(STDERR_FILENO, "error: could not start %s: %s\n", argv[0], std::strerror(errno));
      _exit(127);
    }
    setpgid(rank.process, rank.process);  // whichever of the two comes first
    close(ends[1]);
    fcntl(ends[0], F_SETFL, O_NONBLOCK);
    rank.messages = ends[0];
  }

  void wait_for_news() {
    std::vector<pollfd> sources = {{signals_, POLLIN, 0}};
    for (const Rank& rank : ranks_)
      if (rank.messages >= 0) sources.push_back({rank.messages, POLLIN, 0});
    const double patience = std::clamp(end_of_grace_ - now(), 0.0, 60.0);
    poll(sources.data(), sources.size(), static_cast<int>(1000 * patience) + 1);
  }

  void read_messages(Rank& rank) {
    char bytes[4096];
    for (int reads = 0; rank.messages >= 0 && reads < 1024; ++reads) {  // whoever writes without end
      const ssize_t size = read(rank.messages, bytes, sizeof bytes);
      if (size < 0) {
        if (errno == EINTR) continue;
        return;
      }
      if (size == 0) return end_messages(rank);
      rank.begun.append(bytes, static_cast<size_t>(size));
      for (size_t end; (end = rank.begun.find('\n')) != std::string::npos; rank.begun.erase(0, end + 1))
        take_line(rank, rank.begun.substr(0, end));
    }
  }

  void end_messages(Rank& rank) {
    if (!rank.begun.empty()) take_line(rank, rank.begun);
    rank.begun.clear();
    close(std::exchange(rank.messages, -1));
  }

  /// Errors are kept: one of them is said when all have ended.
  void take_line(Rank& rank, const std::string& line) {
    if (line.starts_with("error: ")) {
      rank.error = line.substr(7);
      return;
    }
    rank.last = line;
    if (config_.all_output) std::cerr << "[" << rank.number << "] ";
    if (config_.all_output || rank.number == 0) std::cerr << line << std::endl;
  }

  void see_signals() {
    signalfd_siginfo info{};
    while (read(signals_, &info, sizeof info) == sizeof info) {
      if (info.ssi_signo == SIGCHLD) continue;
      asked_ = static_cast<int>(info.ssi_signo);
      for (const Rank& rank : ranks_)
        if (!rank.status || rank.messages >= 0) kill(-rank.process, asked_);  // or what it has started
    }
    for (Rank& rank : ranks_) {
      if (rank.status) continue;
      rank.status = ended_as(rank.process);
      if (!rank.status) continue;
      rank.ended_before = ended_++;
      if (!rank.failed() || end_of_grace_ != HUGE_VAL) continue;
      // Ranks that were asked to stop, or that a hook pauses, save first, and end with one code all.
      const bool paused = rank.code() == Stopped(0).exit_code();
      stopped_ = paused || (asked_ != 0 && rank.code() == 128 + asked_);
      if (paused || !stopped_) end_of_grace_ = now() + kGrace;
    }
    // What they have started may hold their standard error output on.
    if (ended_ == config_.n) end_of_grace_ = std::min(end_of_grace_, now() + kGrace);
  }

  void end_all() {
    for (Rank& rank : ranks_) {
      if (rank.status && rank.messages < 0) continue;
      if (!rank.status) rank.ended_by_launch = true;
      kill(-rank.process, SIGKILL);  // and what it has started
      read_messages(rank);
      if (rank.status && rank.messages >= 0) end_messages(rank);  // what has left the group is not awaited
    }
    end_of_grace_ = now() + 1;
  }

  /// The first in time of those that failed by themselves; else of those that stopped as they were asked to,
  /// and else of those that followed. Null where none failed.
  const Rank* first_failed() const {
    const auto order = [&](const Rank& rank) {
      const bool obeyed = asked_ != 0 && rank.code() == 128 + asked_;
      return std::pair(rank.followed() ? 2 : obeyed ? 1 : 0, rank.ended_before);
    };
    const Rank* first = nullptr;
    for (const Rank& rank : ranks_)
      if (rank.failed() && (first == nullptr || order(rank) < order(*first))) first = &rank;
    return first;
  }

  /// One line on why the run failed.
  std::string last_words(const Rank& rank) const {
    const bool all_say_it =
        std::ranges::all_of(ranks_, [&](const Rank& other) { return other.error == rank.error; });
    if (!rank.error.empty() && all_say_it) return rank.error;
    std::string said = "rank " + std::to_string(rank.number) + ", " + status_.of(rank.number) + ": ";
    if (!rank.error.empty()) return said + rank.error;
    if (WIFSIGNALED(*rank.status)) {
      said += "ended by signal " + std::to_string(WTERMSIG(*rank.status)) + " (" +
              strsignal(WTERMSIG(*rank.status)) + ")";
    } else {
      said += "ended with exit code " + std::to_string(rank.code());
    }
    const bool shown = config_.all_output || rank.number == 0 || rank.last.empty();
    return shown ? said : said + "; its last line: " + rank.last;
  }

  LaunchConfig config_;
  std::vector<std::string> command_;
  Environment variables_;
  StatusFile status_;
  sigset_t watched_;
  int signals_ = -1;
  std::vector<Rank> ranks_;
  int64_t ended_ = 0;               // of the ranks
  int asked_ = 0;                   // the signal that came
  bool stopped_ = false;            // because of it
  double end_of_grace_ = HUGE_VAL;  // a time, once one has failed or all have ended
};

}  // namespace

LaunchArguments read_launch_arguments(int argc, const char* const* argv) {
  const auto* const end = argv + argc;
  const auto* const separator = std::find(argv, end, std::string_view("--"));
  LaunchArguments read{{}, {std::min(separator + 1, end), end}};
  try {
    read.config = read_program_arguments<LaunchConfig>(static_cast<int>(separator - argv), argv);
  } catch (HelpAsked& help) {
    help.text.insert(help.text.find('\n'), kBehind);
    throw;
  } catch (const Error& error) {
    const std::string said = error.what();
    if (separator != end || said.ends_with(std::string(kBehind) + ")")) throw;
    fail(said, "; the program stands behind --: launch n=2", kBehind);
  }
  return read;
}

int launch(const LaunchConfig& config, std::vector<std::string> command, Environment variables) {
  return Launch(config, std::move(command), std::move(variables)).run();
}

}  // namespace prefer
