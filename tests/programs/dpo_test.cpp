// The dpo program: TRL's numbers, the model it saves, and what the order of work may not change.
#include "tests/programs/dpo.hpp"

#include "support/invariance.hpp"
#include "support/traced.hpp"

#include <cmath>

namespace prefer::testing {
namespace {

// Two right fp32 forwards differ by up to 2e-5 nats a token (docs/numerics.md); answers have up to 24 tokens.
constexpr double kLogps = 24 * 2e-5;

TEST(DpoProgram, EqualsTrlStepByStep) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const Ran ran = run("dpo", dpo_command(pairs_file(dir), dir / "out"));
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_EQ(ran.out, "");
  const std::vector<Json> ours = metrics(dir / "out");
  const Json::Array& theirs = trl().at("steps").as_array();
  ASSERT_EQ(ours.size(), theirs.size());
  for (std::size_t i = 0; i < ours.size(); ++i) {
    const auto expect = [&](const char* name, double bound) {
      EXPECT_NEAR(ours[i].at(name).as_number(), theirs[i].at(name).as_number(), bound)
          << name << ", step " << i + 1;
    };
    expect("loss", 1e-4);
    expect("learning_rate", 1e-15);
    expect("grad_norm", 1e-4 * theirs[i].at("grad_norm").as_number());
    for (const char* name : {"logps/chosen", "logps/rejected"}) expect(name, kLogps);
    for (const char* name : {"rewards/chosen", "rewards/rejected", "rewards/margins"})
      expect(name, 0.1 * 2 * kLogps);
  }
}

TEST(DpoProgram, BeginsAtLogTwoExactlyAndLearns) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  ASSERT_EQ(run("dpo", dpo_command(pairs_file(dir), dir / "out")).code, 0);
  const std::vector<Json> steps = metrics(dir / "out");
  EXPECT_DOUBLE_EQ(steps.front().at("loss").as_number(), std::log(2.0));
  EXPECT_EQ(steps.front().at("rewards/accuracies").as_number(), 0.5);
  EXPECT_LT(steps.back().at("loss").as_number(), 0.5);
}

TEST(DpoProgram, TheConfigThatIsShippedRuns) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const Ran ran = run("dpo", {PREFER_SOURCE_DIR "/configs/dpo.json", "model=" + stories260k().string(),
                              "train=" + pairs_file(dir), "output=" + (dir / "out"), "steps=1", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  PosixFs fs;
  const std::string report = read_file(fs, dir / "out/report.html", 1 << 24);
  EXPECT_NE(report.find("rewards"), std::string::npos);
  EXPECT_EQ(report.find("http://"), std::string::npos);
}

TEST(DpoProgram, MeasuresHeldOutPairsAndLetsTheModelSpeak) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string pairs = pairs_file(dir);
  const std::string prompts = file_of(dir, "prompts.jsonl", {R"({"prompt": "One day, Tom saw a big box."})"});
  const Ran ran = run("dpo", dpo_command(pairs, dir / "out",
                                         {"eval=" + pairs, "eval_every=8", "samples.prompts=" + prompts,
                                          "samples.every=10", "samples.max_new_tokens=12"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::vector<Json> steps = metrics(dir / "out");
  for (std::size_t i = 0; i < steps.size(); ++i) {
    EXPECT_EQ(steps[i].contains("eval_loss"), i == 7 || i == 15 || i == 19) << i + 1;
  }
  PosixFs fs;
  EXPECT_EQ(fs.list(dir / "out/samples"),
            (std::vector<std::string>{"step-0.jsonl", "step-10.jsonl", "step-20.jsonl"}));
  const auto said = [&](const char* step) {
    return records(read_file(fs, dir / ("out/samples/" + std::string(step)), 1 << 20))
        .front()
        .at("completion")
        .as_string();
  };
  // What the untouched model says greedily is what generate says.
  const Ran before = run("generate", {"model=" + stories260k().string(), "prompt=One day, Tom saw a big box.",
                                      "max_new_tokens=12", "temperature=0", "threads=1"});
  EXPECT_EQ(records(before.out).front().at("completion").as_string(), said("step-0.jsonl"));
  const std::string report = read_file(fs, dir / "out/report.html", 1 << 24);
  for (const char* part : {"accuracy of the implied reward", "dashed: held out", "Tom saw a big box"}) {
    EXPECT_NE(report.find(part), std::string::npos) << part;
  }
}

TEST(DpoProgram, HowTheWorkIsDoneChangesNoBit) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  PosixFs fs;
  const std::string pairs = pairs_file(dir);
  const auto made = [&](const std::string& how) {
    const Ran ran = run("dpo", dpo_command(pairs, dir / how, {"steps=3", how}));
    EXPECT_EQ(ran.code, 0) << ran.err;
    return std::pair(read_file(fs, dir / (how + "/metrics.jsonl"), 1 << 20),
                     read_file(fs, dir / (how + "/model/model.safetensors"), 1 << 24));
  };
  const auto plain = made("log_every=1");
  for (const char* how : {"threads=2", "activation_checkpointing=true", "reference_logprobs=cached"}) {
    const auto [metrics, weights] = made(how);
    EXPECT_EQ(metrics, plain.first) << how;
    EXPECT_TRUE(weights == plain.second) << how;
  }
}

TEST(DpoProgram, AsksTheKernelForNoMoreMemoryOnceItHasSettled) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  ASSERT_EQ(run("dpo", dpo_command(pairs_file(dir), dir / "out", {"steps=60"})).code, 0);
  PosixFs fs;
  std::vector<int64_t> faults;
  for (const Json& step : records(read_file(fs, dir / "out/times.jsonl", 1 << 20)))
    if (step.at("step").as_integer() > 20) faults.push_back(step.at("page_faults").as_integer());
  std::ranges::nth_element(faults, faults.begin() + 20);
  EXPECT_LE(faults[20], 100);
}

TEST(DpoProgram, MapsNoMoreMemoryOnceItHasSettled) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string pairs = pairs_file(dir);
  const auto mappings = [&](const std::string& steps) -> std::optional<int> {
    CommandLine command = dpo_command(pairs, dir / steps, {"steps=" + steps});
    command.insert(command.begin(), PREFER_BIN_DIR "/dpo");
    int count = 0;
    const std::optional<int> code = trace(command, [&](std::uint64_t call) {
      count += call == SYS_mmap || call == SYS_munmap || call == SYS_mremap || call == SYS_brk;
      return false;
    });
    if (!code) return std::nullopt;
    EXPECT_EQ(*code, 0);
    return count;
  };
  const std::optional<int> some = mappings("20"), more = mappings("50");
  if (!some || !more) GTEST_SKIP() << "the system permits no tracing";
  EXPECT_GT(*some, 100);  // the program was seen to begin
  // 30 more steps: less than one call in three of them, where what is remembered for the report may grow.
  EXPECT_LE(*more, *some + 10);
}

TEST(DpoProgram, CutsAndSharingChangeTheLossByRoundingAlone) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string pairs = pairs_file(dir);
  const auto losses = [&](const std::string& how) {
    EXPECT_EQ(run("dpo", dpo_command(pairs, dir / how, {"steps=6", how})).code, 0);
    return metrics(dir / how);
  };
  const auto plain = losses("team.slots=1");
  for (const char* how : {"team.slots=4", "share_prefixes=false", "tokens_per_slot=1"}) {
    const auto other = losses(how);
    for (std::size_t i = 0; i < plain.size(); ++i) {
      EXPECT_NEAR(other.at(i).at("loss").as_number(), plain[i].at("loss").as_number(), 1e-6) << how;
    }
  }
}

/// Mean over the pairs of the completion's log-probability, as the score program has it.
double mean_logp(const std::string& output, const std::string& dtype, const std::string& side) {
  const TempDir dir;
  std::vector<std::string> lines;
  std::vector<std::size_t> prompts;
  for (const Json& pair : trl().at("tokens").as_array()) {
    Json tokens = pair.at("prompt_ids");
    prompts.push_back(tokens.size());
    for (const Json& id : pair.at(side + "_ids").as_array()) tokens.push(id);
    lines.push_back(dump(Json::object({{"tokens", tokens}})));
  }
  const Ran ran = run("score", {"model=" + output + "/model", "input=" + file_of(dir, "texts.jsonl", lines),
                                "dtype=" + dtype});
  EXPECT_EQ(ran.code, 0) << ran.err;
  double total = 0;
  const std::vector<Json> scores = records(ran.out);
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Json::Array& logprobs = scores[i].at("logprobs").as_array();
    for (std::size_t t = prompts[i]; t < logprobs.size(); ++t) total += logprobs[t].as_number();
  }
  return total / static_cast<double>(scores.size());
}

TEST(DpoProgram, TheSavedFolderScoresAsTheTrainedPolicyDid) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  for (const std::string dtype : {"float32", "bfloat16"}) {
    const std::string pairs = pairs_file(dir), output = dir / dtype;
    const Ran ran = run("dpo", dpo_command(pairs, output, {"eval=" + pairs, "dtype=" + dtype}));
    ASSERT_EQ(ran.code, 0) << ran.err;
    const Json last = metrics(output).back();
    for (const std::string side : {"chosen", "rejected"}) {
      const double expected =
          last.at("eval_logps/" + side).as_number();  // the same bits, added up in another order
      EXPECT_NEAR(mean_logp(output, dtype, side), expected, 1e-12 * std::abs(expected)) << side;
    }
  }
}

}  // namespace
}  // namespace prefer::testing
