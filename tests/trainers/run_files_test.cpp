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
