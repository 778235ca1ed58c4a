// Real preferences that a tiny model learns in seconds: held-out figures, their intervals, and overlapping
// prompts.
#include "tests/programs/held_out.hpp"

namespace prefer::testing {
namespace {

TEST(HeldOut, ATinyModelLearnsWhichAnswersPeopleFindPolite) {
  PREFER_NEEDS(stories260k());
  PREFER_NEEDS(polite_pairs());
  const TempDir dir;
  const Ran ran =
      run("dpo", {"model=" + stories260k().string(), "train=" + polite_file(dir, "train.jsonl", 0, 480),
                  "eval=" + polite_file(dir, "eval.jsonl", 700, 1000), "output=" + (dir / "out"),
                  "batch_size=16", "max_length=256", "on_bad=skip", "drop_overlap=true",
                  "optimizer.learning_rate=1e-3", "schedule.warmup_ratio=0.1", "eval_every=15", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Interval accuracy = figure(ran.err, "accuracy of the implied reward");
  EXPECT_GT(accuracy.low, 0.5);
  EXPECT_GT(figure(ran.err, "its length-controlled accuracy").low, 0.5);
  EXPECT_GT(figure(ran.err, "its margin").low, 0);
  const std::vector<Json> steps = metrics(dir / "out");
  EXPECT_NEAR(steps.back().at("eval_rewards/accuracies").as_number(), accuracy.mean,
              5e-5);  // as it was printed
  EXPECT_NEAR(steps.back().at("eval_kl").as_number(),
              figure(ran.err, "KL from the reference, nats an answer").mean,
              5e-3 * steps.back().at("eval_kl").as_number());
  EXPECT_GT(steps.back().at("eval_kl").as_number(), 0);
  // What it learnt was in neither the lengths nor the model before.
  for (const char* baseline : {"choose the longer", "choose what the reference finds likelier"}) {
    EXPECT_GT(accuracy.low, figure(ran.err, "baseline: " + std::string(baseline)).mean) << baseline;
  }
}

// As docs/results.md does with a real model: trained on one file of HH-RLHF, tested on another.
TEST(HeldOut, ATinyModelTrainsOnOneHhFileAndIsTestedOnAnother) {
  PREFER_NEEDS(stories260k());
  PREFER_NEEDS(hh_pairs("helpful-rejection-sampled"));
  PREFER_NEEDS(hh_pairs("helpful-base"));
  const TempDir dir;
  std::vector<std::string> train = short_hh_lines("helpful-rejection-sampled", 240);
  const std::vector<std::string> eval = short_hh_lines("helpful-base", 600);
  ASSERT_EQ(train.size() + eval.size(), 840u);
  train.insert(train.begin() + 7, {eval[3], eval[150]});  // held-out prompts, which the files do not share
  const Ran ran =
      run("dpo", {"model=" + stories260k().string(), "train=" + file_of(dir, "train.jsonl", train),
                  "eval=" + file_of(dir, "eval.jsonl", eval), "output=" + (dir / "out"), "batch_size=16",
                  "on_bad=skip", "drop_overlap=true", "kl.prompts=4", "kl.max_new_tokens=16",
                  "optimizer.learning_rate=1e-4", "schedule.warmup_ratio=0.1", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("2 of 240 training pairs have a prompt that eval has too: left out"),
            std::string::npos)
      << ran.err;
  EXPECT_NE(ran.err.find("prompt is in eval too (2: "), std::string::npos) << ran.err;
  const Interval accuracy = figure(ran.err, "accuracy of the implied reward");
  EXPECT_GT(accuracy.low, 0.5);
  const std::vector<Json> steps = metrics(dir / "out");
  EXPECT_EQ(steps.size(), 15u);  // an epoch of the 238 that are left
  EXPECT_NEAR(steps.back().at("eval_rewards/accuracies").as_number(), accuracy.mean, 5e-5);
  EXPECT_GT(figure(ran.err, "KL from the reference, nats an answer").low, 0);
  for (const char* name :
       {"accuracy of the implied reward", "its length-controlled accuracy", "baseline: choose the longer",
        "baseline: choose what the reference finds likelier",
        "baseline: choose what it finds likelier a token"}) {
    const Interval share = figure(ran.err, name);
    EXPECT_TRUE(0 < share.low && share.low < share.mean && share.mean < share.high && share.high < 1) << name;
  }
  // What people chose is the longer answer more often than not, in this slice as in the whole file.
  EXPECT_GT(figure(ran.err, "baseline: choose the longer").low, 0.5);
  EXPECT_GT(figure(ran.err, "its margin").low, 0);
}

TEST(HeldOut, RecordsWhosePromptIsHeldOutAreCountedAndOnRequestLeftOut) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  std::vector<std::string> pairs, texts, judged, ranked;
  for (const Json& pair : trl().at("pairs").as_array()) {
    const Json &prompt = pair.at("prompt"), &chosen = pair.at("chosen");
    const auto with = [&](Json::Object more) {
      more.insert(more.begin(), {"prompt", prompt});
      return dump(Json::object(more));
    };
    pairs.push_back(dump(pair));
    texts.push_back(with({{"completion", chosen}}));
    judged.push_back(with({{"completion", chosen}, {"label", true}}));
    ranked.push_back(
        with({{"answers", Json::array({chosen, pair.at("rejected")})}, {"ranks", Json::array({1, 2})}}));
  }
  struct Case {
    std::string program, records, record;
    std::vector<std::string> lines;
    CommandLine more;
  };
  for (const auto& [program, records, record, lines, more] :
       {Case{"dpo", "pairs", "pair", pairs, {}}, Case{"reward", "pairs", "pair", pairs, {}},
        Case{"reward", "rankings", "ranking", ranked, {"loss.name=plackett_luce"}},
        Case{"sft", "texts", "text", texts, {}}, Case{"kto", "answers", "answer", judged, {}}}) {
    const std::string name = program + "-" + records + "-";
    const std::string train = file_of(dir, name + "train.jsonl", lines),
                      eval = file_of(dir, name + "eval.jsonl", {lines[3], lines[7]});
    const auto command = [&](const std::string& output, const CommandLine& last) {
      CommandLine all = dpo_command(train, dir / (name + output), {"steps=1"});
      all.insert(all.end(), more.begin(), more.end());
      all.insert(all.end(), last.begin(), last.end());
      return all;
    };
    const Ran kept = run(program, command("kept", {"eval=" + eval}));
    ASSERT_EQ(kept.code, 0) << kept.err;
    EXPECT_NE(
        kept.err.find("2 of 24 training " + records + " have a prompt that eval has too; drop_overlap=true"),
        std::string::npos)
        << kept.err;
    const Ran left = run(program, command("left", {"eval=" + eval, "drop_overlap=true"}));
    ASSERT_EQ(left.code, 0) << left.err;
    EXPECT_NE(left.err.find("prompt is in eval too (2: " + train + ":4:1, 8:1)"), std::string::npos)
        << left.err;
    PosixFs fs;
    EXPECT_NE(read_file(fs, dir / (name + "left/report.html"), 1 << 24).find("prompt is in eval too"),
              std::string::npos);
    const Ran none = run(program, command("none", {"eval=" + train, "drop_overlap=true"}));
    EXPECT_EQ(none.code, 1);
    EXPECT_NE(none.err.find("no " + record + " to train on; 24 skipped: prompt is in eval too"),
              std::string::npos)
        << none.err;
  }
}

}  // namespace
}  // namespace prefer::testing
