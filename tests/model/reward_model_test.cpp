// Reward models: the score of a hidden state, where a text is read, how a head begins, and the folders that
// transformers reads.
#include "prefer/model/reward_model.hpp"

#include "prefer/model/load.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/golden_models.hpp"
#include "support/invariance.hpp"
#include "support/python.hpp"
#include "support/scoring.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::batch_of;
using testing::error_of;
using testing::tiny_config;
using testing::tiny_model;

using Texts = std::vector<std::vector<int32_t>>;

const Texts kTexts = {{1, 5, 9, 3, 7, 7, 2}, {1, 5, 9, 8, 2}, {4}, {6, 2, 2}, {20, 11, 4, 16}};

RewardModel tiny_reward_model(at::ScalarType dtype, uint64_t seed = 1) {
  return RewardModel(with_score_head(*tiny_model(dtype), {seed}));
}

/// The texts, one group, each read at its end.
Batch ends_of(const RewardModel& model, const Texts& texts, Sharing sharing = Sharing::off) {
  std::vector<Sequence> sequences;
  for (const std::vector<int32_t>& text : texts)
    sequences.push_back({.tokens = text, .reads = {{model.end_of(text)}}});
  return batch_of(sequences, sharing);
}

TEST(RewardModel, ScoresAreHiddenStatesTimesTheHead) {
  const RewardModel model = tiny_reward_model(at::kDouble);
  const Batch batch = batch_of({{.tokens = {1, 5, 9, 3}, .reads = {{0}, {2}, {3}}}});
  const Tensor states = model.transformer().hidden(batch);                  // [4, D]
  const Tensor head = model.transformer().weights().at("score.weight")[0];  // [D]
  const Tensor scores = model.scores(batch);
  ASSERT_EQ(scores.size(0), 3);
  for (const auto& [read, row] : {std::pair{0, 0}, {1, 2}, {2, 3}})
    EXPECT_NEAR(scores[read].item<double>(), (states[row] * head).sum().item<double>(), 1e-12);
}

TEST(RewardModel, AScoreHasTheSameBitsWhateverStandsBesideIt) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  const RewardModel model = tiny_reward_model(at::kFloat);
  const c10::NoGradGuard no_grad;
  const Tensor all = model.scores(ends_of(model, kTexts));
  EXPECT_TRUE(at::equal(model.scores(ends_of(model, kTexts, Sharing::on)), all));
  for (size_t i = 0; i < kTexts.size(); ++i)
    EXPECT_TRUE(
        at::equal(model.scores(ends_of(model, {kTexts[i]})), all.narrow(0, static_cast<int64_t>(i), 1)));
  EXPECT_TRUE(at::equal(model.frozen()->scores(ends_of(model, kTexts)), all));
}

TEST(RewardModel, GradientIsThatOfFiniteDifferences) {
  RewardModel model = tiny_reward_model(at::kDouble);
  model.transformer().train();
  EXPECT_EQ(model.parameters().back().name, "score.weight");
  const Batch batch = ends_of(model, kTexts, Sharing::on);
  const auto loss = [&] {
    const Tensor scores = model.scores(batch);
    return (scores * scores * at::arange(1, 6, scores.options().requires_grad(false))).sum();
  };
  loss().backward();
  for (const char* name : {"score.weight", "model.norm.weight", "model.layers.0.mlp.up_proj.weight"}) {
    const Tensor weight = model.transformer().weights().at(name);
    const Tensor numeric = testing::finite_differences(loss, weight.detach());
    EXPECT_LE((weight.grad() - numeric).abs().max().item<double>(), 1e-7 * numeric.abs().max().item<double>())
        << name;
  }
}

TEST(RewardModel, ReadsATextAtItsLastTokenThatIsNoPad) {
  const RewardModel model = tiny_reward_model(at::kFloat);
  ASSERT_EQ(model.config().pad, 2);  // its end token, as it has no pad
  std::vector<int64_t> ends;
  for (const std::vector<int32_t>& text : kTexts) ends.push_back(model.end_of(text));
  EXPECT_EQ(ends, (std::vector<int64_t>{5, 3, 0, 0, 3}));
  EXPECT_EQ(model.end_of(std::vector<int32_t>{2, 2}), 0);
  ModelConfig config = tiny_config();
  config.pad = 0;
  const RewardModel other(with_score_head(*tiny_model(at::kFloat, config), {1}));
  EXPECT_EQ(other.end_of(kTexts[0]), 6);
}

TEST(RewardModel, AHeadBeginsAsNormalsKeyedByItsSeed) {
  ModelConfig config = tiny_config();
  config.hidden_size = 1600;
  const auto head = [&, model = tiny_model(at::kFloat, config)](uint64_t seed) {
    return with_score_head(*model, {seed})->weights().at("score.weight").to(at::kDouble) * std::sqrt(1601.0);
  };
  EXPECT_TRUE(at::equal(head(1), head(1)));
  const Tensor product = (head(1) * head(2)).mean();
  for (const auto& [name, mean, spread] :  // of 1,600 draws: four standard errors
       {std::tuple{"mean", head(1).mean(), 1.0},
        {"other seed", product, 1.0},
        {"variance", (head(1) * head(1)).mean() - 1, std::sqrt(2.0)},
        {"third moment", (head(1) * head(1) * head(1)).mean(), std::sqrt(15.0)}})
    EXPECT_LT(std::abs(mean.item<double>()), 4 * spread / 40) << name;
}

TEST(RewardModel, SavesAndLoadsWithTheSameBits) {
  PosixFs fs;
  const testing::TempDir dir;
  for (const bool tied : {true, false}) {
    ModelConfig config = tiny_config();
    config.tied = tied;
    const std::string language = dir / (tied ? "tied" : "untied"), folder = language + "_reward";
    save_model(fs, language, *tiny_model(at::kFloat, config), {});
    EXPECT_FALSE(is_reward_model(fs, language));
    const auto made = load_reward_model(fs, language, {7}, at::kFloat);
    save_model(fs, folder, made->transformer(), {});
    EXPECT_TRUE(is_reward_model(fs, folder));
    const auto back = load_reward_model(fs, folder, {8}, at::kFloat);
    const NamedTensors &was = made->transformer().weights(), &is = back->transformer().weights();
    ASSERT_EQ(is.size(), was.size());
    for (const auto& [name, weight] : was) EXPECT_TRUE(at::equal(is.at(name), weight)) << name;
    EXPECT_FALSE(is.contains("lm_head.weight"));
    EXPECT_EQ(back->config().pad, made->config().pad);
    EXPECT_EQ(error_of([&] { load_model(fs, folder, at::kFloat); }),
              folder +
                  ": is a reward model, which scores texts; a language model, which continues them, is "
                  "asked for");
  }
  EXPECT_NE(error_of([&] { RewardModel(tiny_model(at::kFloat)); }), "");
}

class RewardFolders : public testing::WithTransformers {};

TEST_F(RewardFolders, ScoreTheSameInTransformers) {
  PosixFs fs;
  const testing::TempDir dir;
  std::vector<std::shared_ptr<RewardModel>> models;
  std::string folders, texts;
  for (const std::string& name : testing::golden_models()) {
    models.push_back(load_reward_model(fs, testing::golden("llama/" + name), {3, 2}, at::kFloat));
    save_model(fs, dir / name, models.back()->transformer(), {});
    folders += " " + (dir / name);
  }
  for (const std::vector<int32_t>& text : kTexts) {
    texts += texts.empty() ? "" : ":";
    for (size_t i = 0; i < text.size(); ++i) texts += (i ? "," : "") + std::to_string(text[i]);
  }
  const Json answers = run_script("model/transformers_scores.py", texts + " 2" + folders);
  ASSERT_EQ(answers.size(), models.size());
  for (size_t i = 0; i < models.size(); ++i) {
    EXPECT_EQ(dump(answers.at(i).at("left")), "[[],[],[]]");
    EXPECT_EQ(answers.at(i).at("labels").as_integer(), 1);
    const Tensor scores = models[i]->scores(ends_of(*models[i], kTexts));
    for (size_t t = 0; t < kTexts.size(); ++t) {
      EXPECT_NEAR(scores[static_cast<int64_t>(t)].item<double>(),
                  answers.at(i).at("scores").at(t).as_number(), 1e-5)
          << i << ", text " << t;
    }
  }
}

}  // namespace
}  // namespace prefer
