// The reward program: TRL's numbers, the folder it saves, and real preferences that a tiny model learns.
#include "prefer/model/load.hpp"
#include "prefer/model/value_model.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/python.hpp"
#include "support/tiny_run.hpp"
#include "tests/programs/held_out.hpp"

#include <cmath>
#include <map>
#include <set>
#include <tuple>

namespace prefer::testing {
namespace {

/// A run of tests/golden/make_trl_reward.py: "centred", "ends" or "margins".
const Json& trl_reward(const std::string& run) {
  static const Json json = [] {
    PosixFs fs;
    return parse_json(read_file(fs, golden("trl_reward.json"), 1 << 24), "trl_reward.json");
  }();
  return json.at(run);
}

/// The folder that TRL's run began from: stories260K under the golden's head.
std::string reward_folder(const TempDir& dir, const std::string& run) {
  PosixFs fs;
  const NewHead padded{.pad = trl_reward(run).at("pad").as_integer()};
  const auto model = load_reward_model(fs, stories260k().string(), padded, at::kFloat);
  std::vector<double> head;
  for (const Json& value : trl_reward(run).at("head").as_array()) head.push_back(value.as_number());
  Tensor(model->transformer().weights().at("score.weight")).copy_(tensor_of(head, at::kFloat).view({1, -1}));
  save_model(fs, dir / run, model->transformer(), load_tokenizer(stories260k().string())->files());
  return dir / run;
}

std::string rows_file(const TempDir& dir, const std::string& run) {
  std::vector<std::string> lines;
  for (const Json& row : trl_reward(run).at("rows").as_array()) lines.push_back(dump(row));
  return file_of(dir, run + ".jsonl", lines);
}

TEST(RewardProgram, EqualsTrlStepByStep) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  for (const auto& [kind, knob] :
       {std::pair<std::string, std::string>{"centred", "loss.center_rewards_coefficient=0.01"},
        {"ends", "loss.center_rewards_coefficient=0.01"},  // padded by the end token
        {"margins", "loss.use_margin=true"}}) {
    const std::string output = dir / (kind + "_out");
    const Ran ran =
        run("reward", dpo_command(rows_file(dir, kind), output, {"model=" + reward_folder(dir, kind), knob}));
    ASSERT_EQ(ran.code, 0) << ran.err;
    EXPECT_EQ(ran.out, "");
    EXPECT_EQ(ran.err.find("its pad token is an end token") != std::string::npos, kind == "ends") << ran.err;
    const std::vector<Json> ours = metrics(output);
    const Json::Array& theirs = trl_reward(kind).at("steps").as_array();
    ASSERT_EQ(ours.size(), theirs.size());
    for (std::size_t i = 0; i < ours.size(); ++i) {
      const auto expect = [&](const char* name, double bound) {
        EXPECT_NEAR(ours[i].at(name).as_number(), theirs[i].at(name).as_number(), bound)
            << kind << ", " << name << ", step " << i + 1;
      };
      expect("loss", 1e-4);
      expect("learning_rate", 1e-15);
      expect("grad_norm", 1e-4 * theirs[i].at("grad_norm").as_number());
      expect("accuracy", 1e-6);
      expect("margin", 1e-4);
      expect("mean_reward", 1e-4);
    }
  }
}

TEST(RewardProgram, SavesAFolderThatScoresAsItJudged) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  const std::string pairs = pairs_file(dir);
  const Ran ran = run("reward", dpo_command(pairs, dir / "out", {"eval=" + pairs}));
  ASSERT_EQ(ran.code, 0) << ran.err;
  PosixFs fs;
  const Json config = parse_json(read_file(fs, dir / "out/model/config.json", 1 << 20), "config.json");
  EXPECT_EQ(dump(config.at("architectures")), R"(["LlamaForSequenceClassification"])");
  EXPECT_EQ(dump(config.at("id2label")), R"({"0":"LABEL_0"})");
  // stories260K pads with its end token; a new reward model does not, so that it sees whether a text ended.
  EXPECT_EQ(config.at("pad_token_id").as_integer(), 0);
  const auto tokenizer = load_tokenizer(dir / "out/model");
  EXPECT_EQ(tokenizer->pad(), 0);
  EXPECT_EQ(tokenizer->eos(), load_tokenizer(stories260k().string())->pad());

  std::vector<std::string> lines;
  for (const Json& pair : trl().at("pairs").as_array()) {
    for (const char* side : {"chosen", "rejected"})
      lines.push_back(dump(Json::object({{"prompt", pair.at("prompt")}, {"completion", pair.at(side)}})));
  }
  const Ran scored = run("score", {"model=" + (dir / "out/model"),
                                   "input=" + file_of(dir, "answers.jsonl", lines), "threads=1"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  const std::vector<Json> scores = records(scored.out);
  ASSERT_EQ(scores.size(), lines.size());
  double margin = 0;
  for (std::size_t i = 0; i < scores.size(); i += 2)
    margin += scores[i].at("reward").as_number() - scores[i + 1].at("reward").as_number();
  const double expected = metrics(dir / "out").back().at("eval_margin").as_number();
  EXPECT_NEAR(2 * margin / static_cast<double>(scores.size()), expected, 1e-6);

  const std::vector<std::string> texts = {R"({"text": "Once upon a time"})",
                                          R"({"text": "Once upon a time</s>"})"};
  const Ran both = run(
      "score", {"model=" + (dir / "out/model"), "input=" + file_of(dir, "texts.jsonl", texts), "threads=1"});
  ASSERT_EQ(both.code, 0) << both.err;
  const std::vector<Json> read = records(both.out);
  EXPECT_GT(std::abs(read.at(0).at("reward").as_number() - read.at(1).at("reward").as_number()), 0.01);
}

TEST(RewardProgram, TheConfigsThatAreShippedRun) {
  PREFER_NEEDS(stories260k());
  const TempDir dir;
  for (const std::string name : {"reward", "truthfulqa"}) {
    const std::string pairs = pairs_file(dir);
    const Ran ran = run("reward", {PREFER_SOURCE_DIR "/configs/" + name + ".json",
                                   "model=" + stories260k().string(), "train=" + pairs, "eval=" + pairs,
                                   "drop_overlap=false", "output=" + (dir / name), "steps=1", "threads=1"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    PosixFs fs;
    const std::string report = read_file(fs, dir / (name + "/report.html"), 1 << 24);
    for (const char* part :
         {"accuracy of the reward", "expected calibration error", "share right by predicted"})
      EXPECT_NE(report.find(part), std::string::npos) << part;
  }
}

TEST(RewardProgram, ATinyModelLearnsWhichAnswersPeopleFindPolite) {
  PREFER_NEEDS(stories260k());
  PREFER_NEEDS(polite_pairs());
  const TempDir dir;
  const Ran ran =
      run("reward", {"model=" + stories260k().string(), "train=" + polite_file(dir, "train.jsonl", 0, 480),
                     "eval=" + polite_file(dir, "eval.jsonl", 700, 1000), "output=" + (dir / "out"),
                     "batch_size=16", "max_length=256", "on_bad=skip", "drop_overlap=true", "epochs=2",
                     "optimizer.learning_rate=1e-3", "schedule.warmup_ratio=0.1", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Interval accuracy = figure(ran.err, "accuracy of the reward");
  EXPECT_GT(accuracy.low, 0.521);  // the floor of choosing the longer answer, and of these very pairs:
  EXPECT_GT(accuracy.low, figure(ran.err, "baseline: choose the longer").mean);
  EXPECT_GT(figure(ran.err, "its length-controlled accuracy").low, 0.5);
  EXPECT_NEAR(metrics(dir / "out").back().at("eval_accuracy").as_number(), accuracy.mean, 5e-5);
}

/// Pearson's correlation of the pairs of numbers.
double correlation(const std::vector<std::pair<double, double>>& points) {
  double x = 0, y = 0, xx = 0, yy = 0, xy = 0;
  const auto n = static_cast<double>(points.size());
  for (const auto& [a, b] : points) x += a / n, y += b / n;
  for (const auto& [a, b] : points) {
    xx += (a - x) * (a - x);
    yy += (b - y) * (b - y);
    xy += (a - x) * (b - y);
  }
  return xy / std::sqrt(xx * yy);
}

TEST(RewardProgram, ReportsEachSubsetsAccuracyAndWhatScoresOweToLength) {
  const TinyRun tiny;
  const std::string letters = "abcdefghijklmnopqrstu";
  const std::vector<std::string> subsets = {"easy", "hard", "no subset"};
  std::vector<std::string> pairs, answers;
  for (std::size_t i = 0; i < 18; ++i) {
    const auto said = [&](std::size_t first, std::size_t length) {
      std::string text = " ";
      for (std::size_t k = 0; k < length; ++k) text += letters[(first + k * k) % letters.size()];
      return text;
    };
    Json pair = Json::object({{"prompt", "do " + said(5 * i, 3)},
                              {"chosen", said(i, 1 + i % 5)},
                              {"rejected", said(3 * i + 7, 1 + 4 * i % 7)}});
    if (i % 3 == 0) pair.set("subset", "easy");
    if (i % 3 == 1) pair.set("metadata", Json::object({{"category", "hard"}}));
    pairs.push_back(dump(pair));
    for (const char* side : {"chosen", "rejected"})
      answers.push_back(dump(Json::object({{"prompt", pair.at("prompt")}, {"completion", pair.at(side)}})));
  }
  const std::string file = file_of(tiny.dir, "subsets.jsonl", pairs);
  const Ran ran =
      run("reward", {"model=" + tiny.model, "train=" + tiny.pairs, "eval=" + file, "steps=5", "batch_size=7",
                     "output=" + (tiny.dir / "out"), "optimizer.learning_rate=1e-2", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  const Ran scored = run("score", {"model=" + (tiny.dir / "out/model"),
                                   "input=" + file_of(tiny.dir, "answers.jsonl", answers), "threads=1"});
  ASSERT_EQ(scored.code, 0) << scored.err;
  const std::vector<Json> scores = records(scored.out);
  ASSERT_EQ(scores.size(), 36u);
  std::vector<std::pair<double, double>> lengths_and_scores;
  std::vector<double> right(3);
  for (std::size_t i = 0; i < 18; ++i) {
    const Json pair = parse_json(pairs[i], "pair");
    double side[2];
    for (const std::size_t k : {0, 1}) {
      side[k] = scores[2 * i + k].at("reward").as_number();
      // A token a letter, and the end token.
      const auto& text = pair.at(k == 0 ? "chosen" : "rejected").as_string();
      lengths_and_scores.emplace_back(static_cast<double>(text.size() + 1), side[k]);
    }
    right[i % 3] += side[0] > side[1] ? 1.0 / 6 : 0;
  }
  for (std::size_t k = 0; k < 3; ++k)
    EXPECT_NEAR(figure(ran.err, "its accuracy on " + subsets[k]).mean, right[k], 5e-4) << subsets[k];
  EXPECT_NEAR(figure(ran.err, "correlation of score and length").mean, correlation(lengths_and_scores), 5e-4);
  PosixFs fs;
  const std::string page = read_file(fs, tiny.dir / "out/report.html", 1 << 24);
  for (const char* said : {"its accuracy on easy", "its accuracy on hard", "correlation of score and length"})
    EXPECT_NE(page.find(said), std::string::npos) << said;
}

/// Rankings of seven answers, the better the earlier in the alphabet their last letter is; `first` sets the
/// letters before it.
std::string alphabet_file(const TempDir& dir, const std::string& name, int first, int count) {
  const std::string filling = "hijklmnopqrstu";
  std::vector<std::string> lines;
  for (int i = first; i < first + count; ++i) {
    const auto letter = [&](int k) { return std::string(1, filling[static_cast<std::size_t>(k) % 14]); };
    Json answers = Json::array(), ranks = Json::array();
    for (int k = 0; k < 7; ++k) {
      const int rank = (3 * k + i) % 7;
      answers.push(" " + letter(i * 5 + k * k) + letter(i * i + 3 * k) + std::string(1, "abcdefg"[rank]));
      ranks.push(rank + 1);
    }
    const std::string prompt = "do " + letter(i) + letter(i / 14) + letter(i * i);
    lines.push_back(dump(Json::object({{"prompt", prompt}, {"answers", answers}, {"ranks", ranks}})));
  }
  return file_of(dir, name, lines);
}

TEST(RewardProgram, LearnsFromRankingsOfSevenAnswers) {
  const TinyRun tiny;
  const Ran ran =
      run("reward", {"model=" + tiny.model, "loss.name=plackett_luce",
                     "train=" + alphabet_file(tiny.dir, "train.jsonl", 0, 96),
                     "eval=" + alphabet_file(tiny.dir, "eval.jsonl", 100, 40), "output=" + (tiny.dir / "out"),
                     "steps=60", "batch_size=8", "optimizer.learning_rate=3e-3", "threads=1"});
  ASSERT_EQ(ran.code, 0) << ran.err;
  EXPECT_NE(ran.err.find("280 answers in 40 rankings"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("0 of 96 training rankings have a prompt"), std::string::npos) << ran.err;
  EXPECT_NE(ran.err.find("before: "), std::string::npos) << ran.err;
  // Of the tiny tokenizer's tokens none but the end token is there to pad with.
  EXPECT_NE(
      ran.err.find(tiny.model + ": its pad token is an end token, so a text is read at the token before"),
      std::string::npos)
      << ran.err;
  const Interval accuracy = figure(ran.err, "accuracy of the reward");
  EXPECT_GT(accuracy.low, 0.9);
  const std::vector<Json> steps = metrics(tiny.dir / "out");
  EXPECT_NEAR(steps.back().at("eval_accuracy").as_number(), accuracy.mean, 5e-5);
  EXPECT_NEAR(steps.back().at("eval_margin").as_number(), figure(ran.err, "its margin").mean, 5e-3);
  EXPECT_LT(steps.back().at("loss").as_number(), 0.5 * steps.front().at("loss").as_number());
}

TEST(RewardProgram, OfAHeadOfZerosSevenAnswersLoseTheMeanLogarithmOfHowManyAreLeft) {
  const TinyRun tiny;
  PosixFs fs;
  const std::string model = tiny.dir / "zeros";
  save_model(fs, model, value_network(*tiny_model(at::kFloat))->transformer(),
             load_tokenizer(tiny.model)->files());
  // Where all scores are equal, the best of k answers is chosen with probability 1/k: of seven without a tie
  // the loss is log(7!) / 6. What is tied is not compared: ranks 1 1 3 4 4 6 7 have six terms, of 6, 6, 5, 3,
  // 3 and 2 answers.
  const double strict = std::log(5040.0) / 6, tied = std::log(6.0 * 6 * 5 * 3 * 3 * 2) / 6;
  const auto line = [](const std::string& prompt, const std::string& ranks) {
    return R"({"prompt": ")" + prompt +
           R"(", "answers": [" a", " b", " c", " d", " e", " f g", " h i j"], )" + R"("ranks": )" + ranks +
           "}";
  };
  const std::string permuted = "[5, 2, 7, 1, 3, 6, 4]", ties = "[4, 1, 7, 1, 3, 6, 4]";
  for (const auto& [name, lines, loss] :
       {std::tuple("strict", std::vector{line("do a", permuted), line("do b", permuted)}, strict),
        std::tuple("tied", std::vector{line("do a", ties), line("do b", ties)}, tied),
        std::tuple("both", std::vector{line("do a", permuted), line("do b", ties)}, (strict + tied) / 2)}) {
    const std::string output = tiny.dir / name;
    const Ran ran =
        run("reward", {"model=" + model, "loss.name=plackett_luce",
                       "train=" + file_of(tiny.dir, std::string(name) + ".jsonl", lines), "output=" + output,
                       "steps=4", "batch_size=2", "optimizer.learning_rate=1e-3", "threads=1"});
    ASSERT_EQ(ran.code, 0) << ran.err;
    EXPECT_NE(ran.err.find("14 answers in 2 rankings"), std::string::npos) << ran.err;
    const std::vector<Json> steps = metrics(output);
    EXPECT_NEAR(steps.front().at("loss").as_number(), loss, 1e-12) << name;
    EXPECT_EQ(steps.front().at("margin").as_number(), 0) << name;
    EXPECT_EQ(steps.front().at("accuracy").as_number(), 0.5) << name;
    EXPECT_LT(steps.back().at("loss").as_number(), loss) << name;
  }
}

TEST(TruthfulQa, PairsAreSplitByQuestionAndTheSameEachTime) {
  const auto labelled = shared_data("preference/truthfulqa/finetune_truth.jsonl.gz");
  PREFER_NEEDS(labelled);
  const TempDir dir;
  PosixFs fs;
  std::map<std::string, std::set<std::string>> questions;
  std::string first;
  for (const std::string again : {"a", "b"}) {
    const std::string command = "python3 " PREFER_SOURCE_DIR "/scripts/truthfulqa_pairs.py " +
                                labelled.string() + " " + (dir / again) + " && echo done";
    ASSERT_EQ(output_of(command), "done\n");
    std::string bytes;
    for (const std::string part : {"train", "eval"}) {
      const std::string text = read_file(fs, dir / (again + "/" + part + ".jsonl"), 1 << 26);
      bytes += text;
      std::map<std::string, int> pairs;
      for (const Json& pair : records(text)) {
        questions[part].insert(pair.at("prompt").as_string());
        EXPECT_LE(++pairs[pair.at("prompt").as_string()], 20);
        EXPECT_NE(pair.at("chosen"), pair.at("rejected"));
      }
    }
    if (first.empty()) first = bytes;
    EXPECT_EQ(bytes, first);
  }
  for (const std::string& question : questions["eval"]) EXPECT_FALSE(questions["train"].contains(question));
  const double share = static_cast<double>(questions["eval"].size()) /
                       static_cast<double>(questions["eval"].size() + questions["train"].size());
  EXPECT_NEAR(share, 0.2, 0.005);
}

}  // namespace
}  // namespace prefer::testing
