// The sft program: TRL's numbers, perplexity of what is held out, and real instructions that a tiny model
// learns.
#include "tests/programs/held_out.hpp"

#include <cmath>
#include <filesystem>
#include <fstream>

namespace prefer::testing {
namespace {

/// trl_sft.json, made by make_trl_sft.py: its chat template, or a run of it by name.
const Json& trl_sft(const std::string& name) {
  static const Json json = [] {
    PosixFs fs;
    return parse_json(read_file(fs, golden("trl_sft.json"), 1 << 24), "trl_sft.json");
  }();
  return json.at(name);
}

std::string rows_file(const TempDir& dir, const std::string& run) {
  std::vector<std::string> lines;
  for (const Json& row : trl_sft(run).at("rows").as_array()) lines.push_back(dump(row));
  return file_of(dir, run + ".jsonl", lines);
}

/// stories260K with the chat template of those runs.
std::string with_template(const TempDir& dir) {
  const std::filesystem::path model = dir / "chats";
  std::filesystem::create_directory(model);
  for (const auto& file : std::filesystem::directory_iterator(stories260k()))
    std::filesystem::create_symlink(std::filesystem::absolute(file), model / file.path().filename());
  std::ofstream(model / "chat_template.jinja") << trl_sft("template").as_string();
  return model.string();
}

TEST(SftProgram, EqualsTrlStepByStepWhateverIsLearnt) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string chats = with_template(dir);
  // TRL has no mode for the last turns: its trainer was given their labels.
  for (const std::string kind :
       {"completions", "texts", "prompts and completions", "turns", "conversations", "last turns"}) {
    const Ran ran =
        run("sft", dpo_command(rows_file(dir, kind), dir / kind,
                               {"model=" + chats, "loss_on=" + trl_sft(kind).at("loss_on").as_string()}));
    ASSERT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, "");
    const std::vector<Json> ours = metrics(dir / kind);
    const Json::Array& theirs = trl_sft(kind).at("steps").as_array();
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const auto expect = [&](const char* name, double bound) {
        EXPECT_NEAR(ours[i].at(name).as_number(), theirs[i].at(name).as_number(), bound)
            << kind << ", " << name << ", step " << i + 1;
      };
      expect("loss", 1e-4);
      expect("learning_rate", 1e-15);
      expect("grad_norm", 1e-4 * theirs[i].at("grad_norm").as_number());
      expect("entropy", 1e-4);
      expect("mean_token_accuracy", 1e-6);
      expect("num_tokens", 0);
    }
  }
}

TEST(SftProgram, TheConfigThatIsShippedRuns) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string rows = rows_file(dir, "texts");
  const Ran ran =
      run("sft", {PREFER_SOURCE_DIR "/configs/sft.json", "model=" + stories260k().string(), "train=" + rows,
                  "eval=" + rows, "output=" + (dir / "out"), "steps=1", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  PosixFs fs;
  EXPECT_NE(read_file(fs, dir / "out/report.html", 1 << 24).find("held-out perplexity"), std::string::npos);
}

TEST(SftProgram, ThePerplexityOfWhatIsHeldOutIsThatOfTheSavedModel) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string rows = rows_file(dir, "completions");
  const Ran ran = run("sft", dpo_command(rows, dir / "out", {"eval=" + rows, "tokens_per_slot=50"}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  const double nll = metrics(dir / "out").back().at("eval_loss").as_number();
  EXPECT_NEAR(figure(ran.err, "held-out perplexity").mean, std::exp(nll), 1e-3 * std::exp(nll));

  const Json::Array& tokens = trl_sft("completions").at("tokens").as_array();
  std::vector<std::string> lines;
  for (const Json& row : tokens) lines.push_back(dump(Json::object({{"tokens", row}})));
  const Ran scored = run(
      "score", {"model=" + (dir / "out/model"), "input=" + file_of(dir, "tokens.jsonl", lines), "threads=1"});
  const std::vector<Json> scores = records(scored.out);
  ASSERT_EQ(scores.size(), tokens.size());
  double total = 0, count = 0;
  for (std::size_t i = 0; i < scores.size(); ++i) {
    const Json::Array& logprobs = scores[i].at("logprobs").as_array();
    const std::size_t prompt = trl().at("tokens").at(i).at("prompt_ids").size();  // the same prompts
    for (std::size_t t = prompt; t < logprobs.size(); ++t) total -= logprobs[t].as_number(), ++count;
  }
  EXPECT_NEAR(total / count, nll, 1e-12 * nll);  // the same bits, added up in another order
}

TEST(SftProgram, ARunThatGoesOnKnowsWhatWasMeasuredBeforeIt) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string rows = rows_file(dir, "completions");
  const auto said = [&](const std::string& output, const std::string& steps) {
    const Ran ran = run("sft", dpo_command(rows, dir / output, {"eval=" + rows, steps, "resume=true"}));
    EXPECT_EQ(ran.code, 0) << ran.err;
    const std::size_t at = ran.err.find("held-out perplexity: ");
    return ran.err.substr(at, ran.err.find('\n', at) - at);
  };
  said("parts", "steps=1");
  const std::string parts = said("parts", "steps=2"), whole = said("whole", "steps=2");
  EXPECT_NE(whole.find(", before: "), std::string::npos) << whole;
  EXPECT_EQ(parts.substr(parts.find(", before")), whole.substr(whole.find(", before")));
}

TEST(SftProgram, ATinyModelLearnsRealInstructions) {
  PREFER_NEEDS(stories260k());
  const auto alpaca = shared_data("sft/llama-factory/alpaca_en_demo.json");
  PREFER_NEEDS(alpaca);
  const TempDir dir;
  PosixFs fs;
  const Json all = parse_json(read_file(fs, alpaca.string(), 1 << 24), "alpaca");
  const auto part = [&](const std::string& name, std::size_t first, std::size_t last) {
    std::vector<std::string> lines;
    for (std::size_t i = first; i < last; ++i) lines.push_back(dump(all.at(i)));
    return file_of(dir, name, lines);
  };
  const Ran ran = run("sft", {"model=" + stories260k().string(), "train=" + part("train.jsonl", 0, 400),
                              "eval=" + part("eval.jsonl", 900, 960), "output=" + (dir / "out"), "steps=40",
                              "batch_size=8", "max_length=320", "optimizer.learning_rate=1e-3",
                              "schedule.warmup_ratio=0.1", "eval_every=10", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const std::vector<Json> steps = metrics(dir / "out");
  for (std::size_t i = 19; i < steps.size(); i += 10) {
    EXPECT_LT(steps[i].at("eval_loss").as_number(), steps[i - 10].at("eval_loss").as_number()) << i + 1;
  }
  EXPECT_LT(figure(ran.err, "held-out perplexity").high, std::exp(steps[9].at("eval_loss").as_number()));
}

}  // namespace
}  // namespace prefer::testing
