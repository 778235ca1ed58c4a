// The hooks: what they write, when they run, and how signals reach a run.
#include "prefer/train/hooks.hpp"

#include "prefer/core/fs.hpp"
#include "prefer/train/parts.hpp"
#include "prefer/train/tensorboard.hpp"
#include "support/error.hpp"
#include "support/memory_fs.hpp"
#include "tests/train/tiny.hpp"

#include <sys/wait.h>
#include <unistd.h>

#include <limits>

namespace prefer::testing {
namespace {

std::string hex(const std::string& bytes) {
  static constexpr char digits[] = "0123456789abcdef";
  std::string text;
  for (const char byte : bytes) {
    text += digits[static_cast<unsigned char>(byte) >> 4];
    text += digits[byte & 15];
  }
  return text;
}

StepEvent event_of(int64_t step, int64_t steps = 10) {
  StepEvent event;
  event.step = step;
  event.steps = steps;
  event.metrics = {{"loss", 0.5 + static_cast<double>(step)}, {"learning_rate", 1e-6}};
  event.tokens = 300;
  event.seconds = 0.5;
  event.now = 1700000000 + static_cast<double>(step);
  return event;
}

// Bytes that TensorBoard's own writer makes.
TEST(TensorBoard, WritesTheGoldenBytes) {
  EXPECT_EQ(hex(tensorboard_version(1700000000.0)),
            "1800000000000000a37f4b220900000040fc54d9411a0d627261696e2e4576656e743a32eced8f9d");
  EXPECT_EQ(
      hex(tensorboard_scalars(1700000001.0, 7, {{"train/loss", 0.5}})),
      "200000000000000029eda9500900004040fc54d94110072a130a110a0a747261696e2f6c6f7373150000003f5469987d");
}

TEST(TensorBoard, NamesTagsAsTransformersDoes) {
  MemoryFs fs;
  const Hook hook = tensorboard(fs, "out");
  StepEvent event = event_of(1);
  event.metrics = {{"loss", 0.5}, {"eval_loss", 0.25}};
  hook(event);
  ASSERT_EQ(fs.list("out").size(), 1U);
  EXPECT_EQ(fs.list("out")[0].rfind("events.out.tfevents.1700000001.", 0), 0U);
  EXPECT_EQ(read_file(fs, "out/" + fs.list("out")[0], 1 << 20),
            tensorboard_version(1700000001) +
                tensorboard_scalars(1700000001, 1, {{"eval/loss", 0.25}, {"train/loss", 0.5}}));
}

TEST(MetricsFile, WritesALineAStepAndCutsThemToTheStepOfACheckpoint) {
  MemoryFs fs;
  fs.make_directory("out");
  {
    const Hook hook = metrics_file(fs, "out", 0);
    for (int64_t step = 1; step <= 4; ++step) {
      StepEvent event = event_of(step);
      if (step == 2)
        event.skipped = "the loss is nan", event.metrics["loss"] = std::numeric_limits<double>::quiet_NaN();
      if (step == 2) event.times["eps"] = 2.5;
      hook(event);
    }
  }
  const std::string all = read_file(fs, "out/metrics.jsonl", 1 << 20);
  const std::string two =
      "{\"step\":1,\"learning_rate\":1e-06,\"loss\":1.5}\n"
      "{\"step\":2,\"learning_rate\":1e-06,\"loss\":null,\"skipped\":\"the loss is nan\"}\n";
  EXPECT_EQ(all.substr(0, two.size()), two);
  File::append(fs, "out/metrics.jsonl").write("{\"step\":5,\"lo");  // killed within a line
  metrics_file(fs, "out", 4);
  EXPECT_EQ(read_file(fs, "out/metrics.jsonl", 1 << 20), all);
  metrics_file(fs, "out", 2);
  EXPECT_EQ(read_file(fs, "out/metrics.jsonl", 1 << 20), two);
  EXPECT_EQ(
      read_file(fs, "out/times.jsonl", 1 << 20),
      "{\"step\":1,\"time\":1700000001.0,\"seconds\":0.5,\"tokens\":300,\"page_faults\":0}\n"
      "{\"step\":2,\"time\":1700000002.0,\"seconds\":0.5,\"tokens\":300,\"page_faults\":0,\"eps\":2.5}\n");
  EXPECT_EQ(fs.open_files(), 0U);
}

TEST(MetricsFile, IsNotCutWhereALineInItIsDamaged) {
  MemoryFs fs;
  fs.make_directory("out");
  const std::string damaged = "{\"step\":1}\n{\"step\":2\n{\"step\":3}\n";
  fs.put("out/metrics.jsonl", damaged);
  EXPECT_EQ(error_of([&] { metrics_file(fs, "out", 3); }),
            "out/metrics.jsonl:2: is no line of a run that went to step 3; mend or remove the file");
  EXPECT_EQ(read_file(fs, "out/metrics.jsonl", 1 << 20), damaged);
  metrics_file(fs, "out", 1);
  EXPECT_EQ(read_file(fs, "out/metrics.jsonl", 1 << 20), "{\"step\":1}\n");
}

TEST(Console, WritesPlainLinesWhereThereIsNoTerminal) {
  std::string text;
  const Hook hook = console({.write = [&](const std::string& part) { text += part; }, .every = 2});
  for (int64_t step = 1; step <= 3; ++step) {
    StepEvent event = event_of(step, 3);
    if (step == 1) event.identities.push_back({"loss is ln 2", 0.6931, 0.6931, 1e-6});
    if (step == 2) event.metrics["eval_loss"] = 0.25;
    hook(event);
  }
  EXPECT_EQ(text,
            "step 1: loss is ln 2 = 0.6931 (expected 0.6931, bound 1e-06)\n"
            "step 2/3  loss 2.5  learning_rate 1e-06  1 s/step  600 tokens/s  left 0:01\n"
            "step 2  eval_loss 0.25\n"
            "step 3/3  loss 3.5  learning_rate 1e-06  1 s/step  600 tokens/s  left 0:00\n");
}

TEST(Console, DrawsABarOverItselfOnATerminal) {
  std::string text;
  const Hook hook =
      console({.write = [&](const std::string& part) { text += part; }, .interactive = true, .columns = 40});
  StepEvent first = event_of(1, 2), second = event_of(2, 2);
  second.skipped = "a spike";
  hook(first);
  hook(second);
  EXPECT_EQ(text,
            "\r\x1b[2K[==========          ] step 1/2  loss 1\r\x1b[2Kstep 2 skipped: a spike\n"
            "\r\x1b[2K[====================] step 2/2  loss 2\n");
}

// The first of three steps takes ten seconds, the others one each.
TEST(Console, CountsIterationsAndTheTimeTheyTake) {
  std::string text;
  const Hook hook = console({.write = [&](const std::string& part) { text += part; }, .metrics = {}});
  double now = 0;
  for (int64_t step = 1; step <= 9; ++step) {
    StepEvent event = event_of(step, 9);
    event.iteration = 3;
    event.tokens = 0;
    event.seconds = step % 3 == 1 ? 10 : 1;
    event.now = now += event.seconds;
    hook(event);
  }
  const auto line = [](int64_t iteration, int64_t step, const char* left) {
    return "iteration " + std::to_string(iteration) + "/3, step " + std::to_string(step) +
           "/9    12 s/iteration  left " + left + "\n";
  };
  EXPECT_EQ(text, "iteration 1/3, step 1/9    30 s/iteration  left 1:20\n" + line(1, 2, "0:25") +
                      line(1, 3, "0:24") + line(2, 4, "0:14") + line(2, 5, "0:13") + line(2, 6, "0:12") +
                      line(3, 7, "0:02") + line(3, 8, "0:01") + line(3, 9, "0:00"));
}

TEST(Every, RunsAtItsStepsAndAtTheLast) {
  std::vector<int64_t> seen;
  const Hook hook = every(4, [&](StepEvent& event) { seen.push_back(event.step); });
  const Hook never = every(0, [&](StepEvent&) { seen.push_back(-1); });
  for (int64_t step = 1; step <= 10; ++step) {
    StepEvent event = event_of(step);
    hook(event);
    never(event);
  }
  EXPECT_EQ(seen, (std::vector<int64_t>{4, 8, 10}));
}

TEST(Evaluate, AddsMetrics) {
  StepEvent event = event_of(1);
  evaluate([] {
    Metrics metrics;
    metrics.add("eval_loss", at::full({}, 3.0, at::kDouble), 2);
    return metrics;
  })(event);
  EXPECT_EQ(event.metrics.at("eval_loss"), 1.5);
}

// Numbers whose sum depends on the order in which they are added: 1e16 + 1 - 1e16 is 0 or 1.
TEST(Parts, AddUpInTheirOrderWhoeverHasThem) {
  const std::vector<double> values = {1e16, 1, -1e16, 1, 0.25};
  for (const int size : {1, 2, 3, 7}) {
    Threads(size).run([&](Team& team) {
      std::map<int64_t, Metrics> mine;
      for (int64_t part = 0; part < 5; ++part) {
        if ((part * 3 + 1) % size != team.rank()) continue;
        mine[part].add("loss", at::full({}, values[part], at::kDouble), 1);
        if (part == 3) mine[part].add("only_there", at::full({}, 7.0, at::kDouble), 2);
      }
      const std::map<std::string, double> merged_values = merged(mine, 5, team).values();
      EXPECT_EQ(merged_values.at("loss"), 1.25 / 5) << size;
      EXPECT_EQ(merged_values.at("only_there"), 3.5);
    });
  }
}

TEST(OnFirst, RunsAHookOnRank0AndItsErrorIsEveryRanks) {
  Threads(3).run([](Team& team) {
    int runs = 0;
    StepEvent event = event_of(1);
    on_first(team, [&](StepEvent&) { ++runs; })(event);
    EXPECT_EQ(runs, team.rank() == 0 ? 1 : 0);
    EXPECT_EQ(error_of([&] { on_first(team, [](StepEvent&) { fail("the disk is full"); })(event); }),
              "the disk is full");
  });
}

TEST(CountTokens, GoesOnFromThePlansOfTheStepsBefore) {
  TinySource source;  // 80 tokens a step
  StepEvent event = event_of(1);
  const Hook alone = count_tokens(source, 0);
  alone(event);
  EXPECT_EQ(event.metrics.at("num_tokens"), 300);
  alone(event);
  EXPECT_EQ(event.metrics.at("num_tokens"), 600);
  count_tokens(source, 3)(event);
  EXPECT_EQ(event.metrics.at("num_tokens"), 3 * 80 + 300);
}

TEST(Pause, IsAskedForOnEveryRankWhereOneHasTheSignalButNotInsideAnIteration) {
  Threads(2).run([&](Team& team) {
    const Hook hook = pause_when([&] { return team.rank() == 1; }, team);
    StepEvent inside = event_of(1), boundary = event_of(2);
    inside.boundary = false;
    hook(inside);
    hook(boundary);
    EXPECT_FALSE(inside.last() || inside.saved());
    EXPECT_TRUE(boundary.last() && boundary.saved() && !boundary.complete());
  });
}

TEST(Signals, TheFirstIsKeptAndALaterOneEndsTheProcess) {
  {
    const StopSignals signals;
    EXPECT_FALSE(signals.requested());
    raise(SIGTERM);
    EXPECT_TRUE(signals.requested());
    EXPECT_EQ(signals.signal(), SIGTERM);
  }
  // Two at once are one stop: timeout and systemd signal a process and its group.
  for (const int apart : {0, 600}) {
    const pid_t child = fork();
    if (child == 0) {
      const StopSignals signals;
      raise(SIGINT);
      usleep(static_cast<useconds_t>(apart) * 1000);
      raise(SIGTERM);
      _exit(signals.signal() == SIGINT ? 0 : 1);
    }
    int status = 0;
    waitpid(child, &status, 0);
    EXPECT_TRUE(WIFEXITED(status));
    EXPECT_EQ(WEXITSTATUS(status), apart == 0 ? 0 : 128 + SIGTERM);
  }
}

TEST(Signals, AHangUpIsKeptUnlessItIsIgnored) {
  const auto before = std::signal(SIGHUP, SIG_DFL);  // whoever runs the tests may ignore it
  {
    const StopSignals signals;
    raise(SIGHUP);
    EXPECT_EQ(signals.signal(), SIGHUP);
  }
  std::signal(SIGHUP, SIG_IGN);  // as nohup has it
  {
    const StopSignals signals;
    raise(SIGHUP);
    EXPECT_FALSE(signals.requested());
  }
  std::signal(SIGHUP, before);
}

}  // namespace
}  // namespace prefer::testing
