// Programs killed at random instants, a third of them within a save, end in the bytes of a run left alone.
// PREFER_KILLS says how many (scripts/kills.sh), PREFER_SEED at which of the random instants.
#include "support/program.hpp"
#include "support/tiny_run.hpp"
#include "tests/programs/dpo.hpp"

#include <poll.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <chrono>
#include <cstdlib>
#include <iostream>
#include <random>
#include <thread>

namespace prefer::testing {
namespace {

using Seconds = std::chrono::duration<double>;
using Clock = std::chrono::steady_clock;

/// What appears in a folder while a program writes there.
class Watch {
 public:
  explicit Watch(const std::string& folder) : queue_(inotify_init1(IN_CLOEXEC)) {
    inotify_add_watch(queue_, folder.c_str(), IN_CREATE | IN_MOVED_TO);
  }
  ~Watch() { close(queue_); }
  Watch(const Watch&) = delete;
  Watch& operator=(const Watch&) = delete;

  /// Waits for a name that begins so; false where the run comes to its report, or after ten seconds without
  /// any name.
  bool await(const std::string& prefix) {
    for (;;) {
      if (names_.empty() && !read_more()) return false;
      const std::string name = names_.front();
      names_.erase(names_.begin());
      if (name.starts_with(prefix)) return true;
      if (name.starts_with("report.html")) return false;
    }
  }

 private:
  bool read_more() {
    pollfd ready{queue_, POLLIN, 0};
    if (poll(&ready, 1, 10'000) <= 0) return false;
    alignas(inotify_event) char bytes[4096];
    const ssize_t size = read(queue_, bytes, sizeof bytes);
    for (ssize_t at = 0; at < size;) {
      const auto* event = reinterpret_cast<const inotify_event*>(bytes + at);
      if (event->len > 0) names_.emplace_back(event->name);
      at += static_cast<ssize_t>(sizeof *event + event->len);
    }
    return size > 0;
  }

  int queue_;
  std::vector<std::string> names_;
};

/// Where a kill landed, by what it left in the run's folder.
std::string phase(const std::string& output) {
  PosixFs fs;
  bool any_checkpoint = false;
  for (const std::string& name : fs.list(output)) {
    if (name.starts_with(".tmp-"))
      return fs.exists(output + "/" + name + "/manifest.json") ? "save: before the rename"
                                                               : "save: files half written";
    if (name.starts_with(".trash-")) return "save: an old one half removed";
    if (name == "model.tmp") return "save: the model half written";
    any_checkpoint |= name.starts_with("checkpoint-");
  }
  return any_checkpoint ? "between saves" : "before the first save";
}

/// What the random instants follow from: told with the result, and taken again from PREFER_SEED.
unsigned chosen_seed() {
  const char* asked = std::getenv("PREFER_SEED");
  return asked ? static_cast<unsigned>(std::strtoul(asked, nullptr, 10)) : std::random_device()();
}

/// A program, what it is told beside what all are, and the numbers of its first and its last checkpoint.
struct Killed {
  std::string program;
  CommandLine arguments;
  int64_t first, last;
};

class Kills : public ::testing::TestWithParam<Killed> {
 protected:
  CommandLine command(const std::string& output) const {
    CommandLine all = {"model=" + tiny_.model,
                       "train=" + tiny_.pairs,
                       "output=" + output,
                       "batch_size=3",
                       "checkpoint.every=1",
                       "checkpoint.keep=2",
                       "threads=1",
                       "resume=true",
                       "samples.prompts=" + tiny_.prompts,
                       "samples.max_new_tokens=3"};
    all.insert(all.end(), GetParam().arguments.begin(), GetParam().arguments.end());
    return all;
  }
  std::string fresh_folder() {
    const std::string output = tiny_.dir / ("out-" + std::to_string(folders_++));
    PosixFs().make_directory(output);
    return output;
  }
  double uniform(double end) { return std::uniform_real_distribution<double>(0, end)(random_); }
  static void wait(double seconds) {  // busily: sleeping is not as exact as a save is short
    for (const auto begin = Clock::now(); Seconds(Clock::now() - begin).count() < seconds;) {
    }
  }

  /// A run left alone: how long it takes until its first step is saved, and from there; and how long a save
  /// takes.
  void measure() {
    const std::string output = fresh_folder();
    Watch watch(output);
    const auto begin = Clock::now();
    Program program(GetParam().program, command(output));
    const auto now = [&] { return Seconds(Clock::now() - begin).count(); };
    ASSERT_TRUE(watch.await(".tmp-" + std::to_string(GetParam().first) + "-"));
    starts_ = now();
    ASSERT_TRUE(watch.await("checkpoint-" + std::to_string(GetParam().first)));
    save_ = now() - starts_;
    ASSERT_TRUE(watch.await("model"));
    took_ = now();
    const Ran ran = program.end();
    ASSERT_EQ(ran.code, 0) << ran.err;
    expected_ = lasting_files(output, GetParam().last);
  }
  /// Starts the program, kills it within a save or at any instant, and says where the kill landed: "" where
  /// the program was done before.
  std::string kill_once(const std::string& output, bool within_a_save) {
    Watch watch(output);
    Program program(GetParam().program, command(output));
    if (within_a_save) {
      const int saves = std::uniform_int_distribution<int>(1, 6)(random_);
      for (int i = 0; i < saves; ++i)
        if (!watch.await(".tmp-")) break;
      wait(uniform(save_));
    } else {
      std::this_thread::sleep_for(Seconds(uniform(0.5 * (starts_ + took_))));
    }
    program.signal(SIGKILL);
    const Ran ran = program.end();
    EXPECT_TRUE(ran.code == 0 || ran.code == -SIGKILL) << ran.err;
    return ran.code == 0 ? "" : phase(output);
  }
  void expect_the_same(const std::string& output) {
    const Ran ran = run(GetParam().program, command(output));
    ASSERT_EQ(ran.code, 0) << ran.err;
    ASSERT_EQ(lasting_files(output, GetParam().last), expected_);
    ++ended_;
  }

  TinyRun tiny_;
  unsigned seed_ = chosen_seed();
  std::mt19937 random_{seed_};
  double starts_ = 0, save_ = 0, took_ = 0;
  std::map<std::string, std::string> expected_;
  int folders_ = 0, ended_ = 0;
};

INSTANTIATE_TEST_SUITE_P(
    Programs, Kills,
    ::testing::Values(
        Killed{"dpo", {"steps=24"}, 1, 24},
        Killed{"own_reward",  // killed in sampling as in updates: a save falls between two iterations
               {"letter=a", "iterations=12", "num_ppo_epochs=2", "response_length=8",
                "optimizer.learning_rate=1e-3", "kl_target=0.1", "kl_horizon=10"},
               2,
               24}),
    [](const auto& run) { return run.param.program; });

TEST_P(Kills, AtRandomInstantsLoseNothing) {
  const char* asked = std::getenv("PREFER_KILLS");
  const int kills = asked ? std::atoi(asked) : 15;  // of DPO and of PPO each
  SCOPED_TRACE("PREFER_SEED=" + std::to_string(seed_));
  ASSERT_NO_FATAL_FAILURE(measure());
  std::map<std::string, int> phases;
  int killed = 0, within = 0;
  std::string output = fresh_folder();
  for (int attempt = 0; killed < kills || 3 * within < killed; ++attempt) {
    ASSERT_LT(attempt, 4 * kills) << killed << " kills, " << within << " within a save";
    const bool aimed = 5 * within < 2 * (killed + 1);
    const std::string where = kill_once(output, aimed);
    if (aimed && !where.starts_with("save")) save_ *= 0.8;  // the save that was measured was a slow one
    if (!where.empty()) {
      ++killed;
      ++phases[where];
      within += where.starts_with("save");
    }
    if (where.empty() || uniform(1) < 0.15) {
      ASSERT_NO_FATAL_FAILURE(expect_the_same(output));
      output = fresh_folder();
    }
  }
  ASSERT_NO_FATAL_FAILURE(expect_the_same(output));
  std::cout << killed << " kills, " << within << " within a save; " << ended_
            << " runs ended in the bytes of one left alone; PREFER_SEED=" << seed_ << "\n";
  for (const auto& [where, count] : phases) std::cout << "  " << count << " " << where << "\n";
}

}  // namespace
}  // namespace prefer::testing
