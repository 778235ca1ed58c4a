// Whole runs of DPO and PPO whose every call of the file system fails, is the last before a power cut, or
// sees a signal.
#include "prefer/core/program.hpp"
#include "prefer/trainers/dpo.hpp"
#include "prefer/trainers/ppo.hpp"
#include "support/faulty_fs.hpp"
#include "support/memory_fs.hpp"
#include "support/tiny_run.hpp"

#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <random>

namespace prefer::testing {
namespace {

using Fault = FaultyFs::Fault;
using Files = std::map<std::string, std::string>;

/// What every run of these tests is given.
template <class Config>
Config common(const TinyRun& tiny) {
  Config config;
  config.model = tiny.model;
  config.samples = {.prompts = tiny.prompts, .every = 0, .max_new_tokens = 3};
  config.output = "out";
  config.resume = true;
  config.order.batch_size = 3;
  config.checkpoint = {.every = 1, .keep = 1};
  config.process.threads = 1;
  return config;
}

/// Two steps with all that a run can write: reference log-probs, samples, held-out metrics, checkpoints,
/// report, model.
struct Dpo {
  static constexpr int kSteps = 2, kIteration = 1, kStride = 1;
  static DpoConfig config(const TinyRun& tiny) {
    auto config = common<DpoConfig>(tiny);
    config.train = tiny.pairs;
    config.eval = tiny.pairs;
    config.reference_logprobs = "cached";
    config.fit.steps = 2;
    return config;
  }
  static void train(Process& process, const TinyRun& tiny) { DpoTrainer(config(tiny), process).train(); }
};

/// Two iterations of two steps, with a controller whose coefficient is state.
struct Ppo {
  static constexpr int kSteps = 4, kIteration = 2;
  static constexpr int kStride = 5;  // of the calls: what saves is DPO's, which sees each of them
  static PpoConfig config(const TinyRun& tiny) {
    auto config = common<PpoConfig>(tiny);
    config.train = tiny.pairs;  // of which only the prompts are read
    config.eval = tiny.prompts;
    config.iterations = 2;
    config.rollout.response_length = 4;
    config.rollout.num_ppo_epochs = 2;
    config.rollout.kl_target = 0.1;
    config.rollout.kl_horizon = 10;
    config.fit.optimizer.learning_rate = 1e-3;
    return config;
  }
  static void train(Process& process, const TinyRun& tiny) {
    PpoTrainer(config(tiny), process, [](const std::string&, const std::string& answer) {
      return static_cast<double>(std::ranges::count(answer, 'a'));
    }).train();
  }
};

template <class Method>
class RunCrash : public ::testing::Test {
 protected:
  RunCrash() {
    copy_in(tiny_.model);
    copy_in(tiny_.dir.string());
    MemoryFs whole = inputs_;
    FaultyFs watched(whole);
    watched.changed = [&] {
      if (after_each_change_.empty()) first_change_ = watched.calls() - 1;
      after_each_change_.push_back(whole);
    };
    EXPECT_EQ(train(watched), "");
    calls_ = watched.calls();
    files_ = lasting(whole);
  }

  /// How the run ended: "", the Error's text, "killed", or "signal".
  std::string train(Fs& fs) {
    ::testing::internal::CaptureStderr();
    std::string end;
    try {
      Process process(Method::config(tiny_).process, fs);
      Method::train(process, tiny_);
    } catch (const Error& error) {
      end = error.what();
    } catch (const Killed&) {
      end = "killed";
    } catch (const Stopped&) {
      end = "signal";
    }
    said_ = ::testing::internal::GetCapturedStderr();
    return end;
  }
  void expect_ends_the_same(MemoryFs fs, const std::string& after) {
    fs.end_process();
    const int64_t newest = newest_checkpoint(fs, "out");  // the run goes on there, not from an older one
    ASSERT_EQ(train(fs), "") << after;
    const bool goes_on =
        said_.find("going on after step " + std::to_string(newest) + " ") != std::string::npos;
    EXPECT_EQ(goes_on, newest > 0) << newest << after << ": " << said_;
    const Files files = lasting(fs);
    for (const auto& [name, bytes] : files_)
      EXPECT_TRUE(files.contains(name) && files.at(name) == bytes) << name << after;
    EXPECT_EQ(files.size(), files_.size()) << after;
  }

  /// A run whose call of that number fails says so, loses nothing and can go on. Returns the call.
  std::string fails(std::size_t call, int error) {
    MemoryFs fs = inputs_;
    FaultyFs faulty(fs);
    faulty.inject(call, error == ENOSPC ? Fault::full : Fault::fail, error);
    const std::string end = train(faulty), hit = faulty.hit();
    EXPECT_EQ(fs.open_files(), 0U) << hit;
    if (end.empty()) {  // a file that was only read, or a full disk when nothing more was to be written
      EXPECT_TRUE(lasting(fs) == files_) << hit;
      return hit;
    }
    const std::string path = hit.substr(hit.rfind(' ') + 1);
    EXPECT_NE(end.find(path + ": could not "), std::string::npos) << hit << ": " << end;
    const bool tells_space = end.find(" are free") != std::string::npos;
    EXPECT_TRUE(error == EIO ? !tells_space : tells_space || !hit.starts_with("write")) << hit << ": " << end;
    expect_ends_the_same(fs, " after failed " + hit);
    return hit;
  }

  /// Every file under `out` that must not depend on when the run was stopped; and that none is left
  /// half-made.
  static Files lasting(MemoryFs& fs, const std::string& folder = "out") {
    Files files;
    for (const std::string& name : fs.list(folder)) {
      const std::string path = join_path(folder, name);
      EXPECT_EQ(path.find("tmp"), std::string::npos) << path;
      if (fs.status(path)->kind == FileKind::directory) {
        files.merge(lasting(fs, path));
      } else if (name == "report.html") {  // tells peak memory
        EXPECT_TRUE(read_file(fs, path, 1 << 20).ends_with("</html>\n"));
      } else if (name != "times.jsonl" && !name.starts_with("events.")) {
        files[path] = read_file(fs, path, 1 << 20);
      }
    }
    return files;
  }

  TinyRun tiny_;
  MemoryFs inputs_;
  std::vector<MemoryFs> after_each_change_;
  std::size_t calls_ = 0, first_change_ = 0;
  Files files_;
  std::string said_;

 private:
  void copy_in(const std::string& folder) {
    PosixFs disk;
    make_directories(inputs_, folder);
    for (std::string made = folder; made != parent_directory(made); made = parent_directory(made))
      inputs_.sync_directory(parent_directory(made));
    for (const std::string& name : disk.list(folder)) {
      const std::string path = join_path(folder, name);
      if (disk.status(path)->kind == FileKind::regular) inputs_.put(path, read_file(disk, path, 1 << 20));
    }
  }
};

using Methods = ::testing::Types<Dpo, Ppo>;
TYPED_TEST_SUITE(RunCrash, Methods);

TYPED_TEST(RunCrash, AnyCallMayFailAndIsNamed) {
  // Before the first change the inputs are read.
  for (std::size_t call = this->first_change_; call < this->calls_; call += TypeParam::kStride) {
    constexpr std::array errors = {EIO, ENOSPC, EDQUOT};  // a call of a save fails with each, others in turn
    for (std::size_t i = 0; i < errors.size(); ++i) {
      const std::string hit = this->fails(call, errors[(call + i) % errors.size()]);
      if (hit.find("/.tmp-") == std::string::npos && hit.find("/model.tmp") == std::string::npos) break;
    }
  }
}

TYPED_TEST(RunCrash, APowerCutAfterAnyChangeLosesNothing) {
  std::mt19937 random(1);
  for (std::size_t i = 0; i < this->after_each_change_.size(); i += TypeParam::kStride) {
    const unsigned kept_of_four = std::array{0U, 4U, 1U, 3U}[i % 4];  // four: as after a kill
    const MemoryFs left =
        this->after_each_change_[i].after_power_loss([&] { return random() % 4 < kept_of_four; });
    this->expect_ends_the_same(left, " after change " + std::to_string(i));
  }
}

TYPED_TEST(RunCrash, ASignalDuringAnyStepSavesIt) {
  constexpr int kIteration = TypeParam::kIteration;
  for (int step = 1; step + kIteration <= TypeParam::kSteps; ++step) {
    const int saved = (step + kIteration - 1) / kIteration * kIteration;  // the iteration is done first
    MemoryFs fs = this->inputs_;
    FaultyFs watched(fs);
    bool raised = false;
    watched.changed = [&] {  // a line of metrics is written after a step has looked for signals
      if (raised || !fs.exists("out/metrics.jsonl")) return;
      const std::string lines = read_file(fs, "out/metrics.jsonl", 1 << 20);
      if (std::ranges::count(lines, '\n') != step - 1) return;
      raised = true;
      std::raise(SIGTERM);
    };
    ASSERT_EQ(this->train(watched), "signal");
    EXPECT_NE(this->said_.find("stopped after step " + std::to_string(saved)), std::string::npos)
        << this->said_;
    EXPECT_TRUE(fs.exists("out/checkpoint-" + std::to_string(saved) + "/manifest.json"));
    EXPECT_FALSE(fs.exists("out/model"));
    this->expect_ends_the_same(fs, " after step " + std::to_string(step));
  }
}

}  // namespace
}  // namespace prefer::testing
