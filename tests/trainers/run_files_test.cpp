// What a run says of itself before the first step.
#include "prefer/trainers/run_files.hpp"

#include "prefer/trainers/dpo.hpp"
#include "prefer/trainers/sft.hpp"
#include "support/error.hpp"
#include "support/program.hpp"
#include "support/tiny_run.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

TEST(Resume, SaysThatThereIsNoCheckpointWhereTheFolderHeldSomething) {
  const testing::TinyRun tiny;
  Process process(ProcessConfig{.device = "cpu", .threads = 1});
  SftConfig config;
  config.model = tiny.model;
  config.train = testing::file_of(tiny.dir, "texts.jsonl", {R"({"text": "do a"})", R"({"text": "do b"})"});
  config.order.batch_size = 2;
  config.fit.steps = 1;
  config.resume = true;
  for (const bool used : {false, true}) {
    config.output = tiny.dir / (used ? "used" : "fresh");
    if (used) {
      make_directories(process.fs(), config.output);
      write_file_atomically(process.fs(), join_path(config.output, "notes.txt"), "mine");
    }
    ::testing::internal::CaptureStderr();
    SftTrainer(config, process).train();
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("there is no checkpoint in output " + config.output) != std::string::npos, used)
        << said;
  }
}

/// A DPO run of one step on pairs of two held-out prompts; and what it says.
struct Small {
  testing::TinyRun tiny;
  Process process{ProcessConfig{.device = "cpu", .threads = 1}};
  DpoConfig config;

  Small() {
    std::vector<std::string> lines;
    for (const std::string answer : {"a", "b", "c"})
      for (const std::string asked : {"p", "q"})
        lines.push_back(dump(Json::object(
            {{"prompt", "do " + asked}, {"chosen", " good " + answer}, {"rejected", " bad " + answer}})));
    config.model = tiny.model;
    config.train = tiny.pairs;
    config.eval = testing::file_of(tiny.dir, "eval.jsonl", lines);
    config.output = tiny.dir / "out";
    config.order.batch_size = 7;
    config.fit.steps = 1;
    config.kl.max_new_tokens = 2;
  }
  std::string said() {
    ::testing::internal::CaptureStderr();
    DpoTrainer(config, process).train();
    return ::testing::internal::GetCapturedStderr();
  }
  std::string error() {
    config.resume = true;
    return testing::error_of([&] { DpoTrainer(config, process).train(); });
  }
  std::string file(const std::string& name) {
    return read_file(process.fs(), join_path(config.output, name), 1 << 20);
  }
};

TEST(HeldOut, PairsOfOnePromptCountAsOneAndItIsAnsweredOnce) {
  Small run;
  run.said();
  const std::string report = run.file("report.html");
  EXPECT_NE(report.find("6 held-out pairs of 2 prompts"), std::string::npos);
  EXPECT_NE(report.find("own answers to 2 held-out prompts"), std::string::npos);
}

TEST(Run, SaysWhatASettingLeavesOut) {
  Small run;
  EXPECT_EQ(run.said().find("covers all"), std::string::npos);
  run.config.output = run.tiny.dir / "other";
  run.config.fit.schedule.warmup_ratio = 0.1;
  run.config.kl.max_new_tokens = 1000;
  const std::string said = run.said();
  EXPECT_NE(said.find("the warm-up of 1 covers all 1 steps: the learning rate ends at 0 of"),
            std::string::npos)
      << said;
  EXPECT_NE(said.find("kl.max_new_tokens=1000 leaves no held-out prompt room"), std::string::npos) << said;
}

TEST(Resume, BeginsNothingAnewOverAFinishedRunAndRemovesOnlyWhatAKilledSaveLeft) {
  Small run;
  run.said();
  Fs& fs = run.process.fs();
  const std::string out = run.config.output, before = run.file("model/model.safetensors");
  make_directories(fs, join_path(out, ".tmp-mine"));
  make_directories(fs, join_path(out, ".tmp-1-99"));
  for (const std::string& name : fs.list(out))
    if (name.starts_with("checkpoint-")) remove_all(fs, join_path(out, name));
  EXPECT_EQ(run.error(), "output " + out +
                             " holds model and no checkpoint to go on from; choose another folder, " +
                             "or remove model to begin again");
  EXPECT_EQ(run.file("model/model.safetensors"), before);
  remove_all(fs, join_path(out, "model"));
  EXPECT_EQ(run.error(), "output " + out +
                             " holds report.html and no checkpoint to go on from; choose another " +
                             "folder, or remove report.html to begin again");
  remove_all(fs, join_path(out, "report.html"));
  EXPECT_EQ(run.error(), "");
  EXPECT_TRUE(fs.exists(join_path(out, ".tmp-mine")));
  EXPECT_FALSE(fs.exists(join_path(out, ".tmp-1-99")));
}

TEST(Config, FilledInByHandKeepsTheRulesOfAFile) {
  const testing::TinyRun tiny;
  Process process(ProcessConfig{.device = "cpu", .threads = 1});
  const auto said = [&](const auto& change) {
    DpoConfig config;
    config.model = tiny.model;
    config.train = tiny.pairs;
    config.output = tiny.dir / "out";
    change(config);
    return testing::error_of([&] { DpoTrainer(config, process); });
  };
  EXPECT_EQ(said([](DpoConfig&) {}), "");
  EXPECT_NE(said([](DpoConfig& c) {
              c.fit.schedule.lr_scheduler_type = "constant_with_warmup";
            }).find("schedule.lr_scheduler_type: must be one of constant, linear, cosine"),
            std::string::npos);
  EXPECT_NE(
      said([](DpoConfig& c) { c.reference_logprobs = "cache"; }).find("reference_logprobs: must be one of"),
      std::string::npos);
  EXPECT_NE(said([](DpoConfig& c) { c.fit.guard.on_bad = "Stop"; }).find("guard.on_bad: must be one of"),
            std::string::npos);
}

TEST(Reference, SaysThatOneWithoutATokenizerIsNotCompared) {
  const testing::TinyRun tiny;
  Process process(ProcessConfig{.device = "cpu", .threads = 1});
  const std::string bare = tiny.dir / "bare";
  save_model(process.fs(), bare, *testing::tiny_model(at::kFloat), {});
  DpoConfig config;
  config.model = tiny.model;
  config.train = tiny.pairs;
  for (const std::string& reference : {bare, tiny.model}) {
    config.output = tiny.dir / "out";
    config.reference = reference;
    ::testing::internal::CaptureStderr();
    const DpoTrainer trainer(config, process);
    const std::string said = ::testing::internal::GetCapturedStderr();
    EXPECT_EQ(said.find("reference=" + bare + " has no tokenizer: ") != std::string::npos, reference == bare)
        << said;
  }
}

TEST(MemoryEstimate, SaysPartsAndWholeInOneUnit) {
  const MemoryEstimate estimate{
      .weights = 650'000'000, .gradients = 54'000'000, .optimizer = 1'080'000'000, .activations = 900'000};
  EXPECT_EQ(estimate.text(),
            "about 1.93 GB at the peak: weights 0.65 GB, gradients 0.05 GB, optimizer 1.08 GB, activations "
            "0.00 GB, the program itself 0.15 GB");
}

TEST(MemoryEstimate, SaysWhatReadingACheckpointTakesWhereThatIsMore) {
  MemoryEstimate estimate{.weights = 400'000'000,
                          .frozen = 250'000'000,
                          .gradients = 54'000'000,
                          .optimizer = 1'080'000'000,
                          .activations = 900'000};
  // Twice what a checkpoint holds, and once the rest: 2 * (0.40 + 1.08) + 0.25 + 0.15 GB.
  EXPECT_TRUE(estimate.text(true).ends_with("0.15 GB; reading the checkpoint takes about 3.36 GB"))
      << estimate.text(true);
  EXPECT_NE(estimate.text(true).find("weights 0.65 GB"), std::string::npos);
  estimate.activations = 2'000'000'000;
  EXPECT_EQ(estimate.text(true), estimate.text());
}

}  // namespace
}  // namespace prefer
