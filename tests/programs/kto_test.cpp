// The kto program: it begins at half the weights, and learns to tell judged answers apart.
#include "tests/programs/held_out.hpp"

#include <cmath>

namespace prefer::testing {
namespace {

/// The chosen answers of TRL's pairs, judged good, and the rejected ones, judged bad.
std::string judged_file(const TempDir& dir) {
  std::vector<std::string> lines;
  for (const Json& pair : trl().at("pairs").as_array()) {
    for (const bool good : {true, false}) {
      lines.push_back(dump(Json::object({{"prompt", pair.at("prompt")},
                                         {"completion", pair.at(good ? "chosen" : "rejected")},
                                         {"label", good}})));
    }
  }
  return file_of(dir, "judged.jsonl", lines);
}

TEST(KtoProgram, LearnsWhichAnswersAreGood) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string judged = judged_file(dir);
  const Ran ran = run("kto", dpo_command(judged, dir / "out", {"eval=" + judged, "batch_size=8"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::vector<Json> steps = metrics(dir / "out");
  EXPECT_DOUBLE_EQ(steps.front().at("loss").as_number(), 0.5);  // 1 - sigmoid(0)
  EXPECT_EQ(steps.front().at("kl").as_number(), 0.0);
  EXPECT_LT(steps.back().at("loss").as_number(), 0.45);
  const Json& last = steps.back();
  ASSERT_TRUE(last.contains("rewards/chosen") && last.contains("rewards/rejected"));
  EXPECT_EQ(last.at("rewards/margins").as_number(),
            last.at("rewards/chosen").as_number() - last.at("rewards/rejected").as_number());
  EXPECT_NE(ran.err.find("  margins "), std::string::npos) << ran.err;
  EXPECT_GT(steps.back().at("eval_rewards/chosen").as_number(),
            steps.back().at("eval_rewards/rejected").as_number() + 0.5);
  for (const auto& [name, key] : {std::pair("reward of good answers", "eval_rewards/chosen"),
                                  std::pair("reward of bad answers", "eval_rewards/rejected")}) {
    const Interval after = figure(ran.err, name);
    EXPECT_NEAR(after.mean, steps.back().at(key).as_number(), 1e-3 * std::abs(after.mean)) << name;
    EXPECT_TRUE(after.low < after.mean && after.mean < after.high) << name;
  }
  EXPECT_EQ(figure(ran.err, "before").mean, 0);
}

TEST(KtoProgram, RefusesRecordsWithoutVerdictAndStepsOfOne) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string without = file_of(dir, "without.jsonl", {R"({"prompt": "a", "completion": " b"})"});
  const Ran verdict = run("kto", dpo_command(without, dir / "out"));
  EXPECT_EQ(verdict.code, 1);
  EXPECT_NE(verdict.err.find(without + ":1:1: "), std::string::npos) << verdict.err;
  EXPECT_NE(verdict.err.find("label"), std::string::npos) << verdict.err;
  const std::string text = file_of(dir, "text.jsonl", {R"({"text": "a", "label": true})"});
  const Ran whole = run("kto", dpo_command(text, dir / "out"));
  EXPECT_EQ(whole.code, 1);
  EXPECT_NE(whole.err.find(text + ":1:1: a record of {text, label} is of no known form; known are "),
            std::string::npos)
      << whole.err;
  const Ran alone = run("kto", dpo_command(judged_file(dir), dir / "out", {"batch_size=1"}));
  EXPECT_EQ(alone.code, 1);
  EXPECT_NE(alone.err.find("error: batch_size=1: an answer to another prompt of the step wants 2 or more"),
            std::string::npos)
      << alone.err;
}

TEST(KtoProgram, MeasuresTwoHeldOutAnswersAndSaysWhyItCannotMeasureOne) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string judged = judged_file(dir);
  const auto judged_line = [](const std::string& prompt, const char* label) {
    return R"({"prompt": ")" + prompt + R"(", "completion": " he said.", "label": )" + label + "}";
  };
  const auto with_eval = [&](const std::string& name, const std::vector<std::string>& lines) {
    const std::string eval = file_of(dir, name + ".jsonl", lines);
    return run("kto", dpo_command(judged, dir / name, {"steps=1", "eval=" + eval}));
  };
  const Ran two = with_eval("two", {judged_line("Yes,", "true"), judged_line("No,", "false")});
  ASSERT_EQ(two.code, 0) << two.err;
  EXPECT_GT(metrics(dir / "two").back().at("eval_loss").as_number(), 0);
  for (const auto& [name, count] : {std::pair("one", 1), std::pair("same", 3)}) {
    const Ran ran =
        with_eval(name, std::vector(static_cast<std::size_t>(count), judged_line("Yes,", "true")));
    EXPECT_EQ(ran.code, 1);
    EXPECT_EQ(ran.err.substr(ran.err.find("error: ")),
              "error: " + (dir / name) +
                  ".jsonl: answers to other prompts want two prompts that differ, and all records (" +
                  std::to_string(count) + ") have one\n");
  }
}

TEST(KtoProgram, TheConfigThatIsShippedRuns) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const Ran ran =
      run("kto", {PREFER_SOURCE_DIR "/configs/kto.json", "model=" + stories260k().string(),
                  "train=" + judged_file(dir), "output=" + (dir / "out"), "steps=1", "threads=1"});
  EXPECT_EQ(ran.code, 0) << ran.err;
}

}  // namespace
}  // namespace prefer::testing
