// Reward models: the score of a hidden state, where a text is read, how a head begins, and the folders that
// transformers reads.
#include "prefer/model/reward_model.hpp"

#include "prefer/model/load.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/finite_differences.hpp"
#include "support/golden_models.hpp"
#include "support/invariance.hpp"
#include "support/python.hpp"
#include "support/scoring.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_model.hpp"
#include "support/tiny_run.hpp"

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

/// The tiny tokenizer's letters, <e> which is 2, and <unk>, <s> and <r> from 23 on.
std::shared_ptr<const Tokenizer> with_specials(const std::string& config) {
  const testing::TempDir dir;
  PosixFs fs;
  Json json = parse_json(testing::tiny_tokenizer(), "tokenizer.json"), added = json.at("added_tokens");
  for (const char* token : {"<unk>", "<s>", "<r>"})
    added.push(Json::object({{"id", static_cast<int64_t>(added.size()) + 22},
                             {"content", token},
                             {"special", true},
                             {"normalized", false}}));
  json.set("added_tokens", added);
  write_file_atomically(fs, dir / "tokenizer.json", dump(json));
  write_file_atomically(fs, dir / "tokenizer_config.json", config);
  return load_tokenizer(dir.string());
}

TEST(RewardModel, PadsWithATokenThatEndsNoText) {
  ModelConfig model = tiny_config();
  model.vocab_size = 26;
  const auto chosen = [&](const std::string& config) {
    return padding_token(*with_specials(R"({"eos_token": "<e>", "bos_token": "<s>")" + config + "}"), model);
  };
  const std::string clash = R"(, "pad_token": "<e>")", unk = R"(, "unk_token": "<unk>")";
  const std::string writes_unk = R"(, "chat_template": "<unk>{{ x }}")";
  const std::string writes_all = R"(, "chat_template": "<unk><r>{{ x }}")";
  EXPECT_EQ(chosen(R"(, "pad_token": "<r>")" + unk), 25);
  EXPECT_EQ(chosen(unk), 23);
  EXPECT_EQ(chosen(clash + unk), 23);
  EXPECT_EQ(chosen(clash + unk + writes_unk), 25);
  EXPECT_EQ(chosen(clash + writes_unk), 25);
  EXPECT_EQ(chosen(clash + unk + writes_all), 24);
  model.pad = 5;
  EXPECT_EQ(chosen(clash + unk), 5);
  model.pad = 2;
  model.eos = {2, 23};
  EXPECT_EQ(chosen(clash + unk), 25);
  model.eos = {2, 23, 25};
  EXPECT_EQ(chosen(clash + unk), 24);
  model.eos = {2, 23, 24, 25};
  EXPECT_EQ(chosen(clash + unk), std::nullopt);
  model.eos = {2};
  model.vocab_size = 23;  // no embeddings of the others
  EXPECT_EQ(chosen(clash + unk), std::nullopt);
}

TEST(RewardModel, ANewOneTellsWhetherATextEnded) {
  ModelConfig config = tiny_config();
  config.vocab_size = 26;
  config.pad = 2;
  const auto base = tiny_model(at::kFloat, config);
  const auto tokenizer = with_specials(R"({"eos_token": "<e>", "pad_token": "<e>", "unk_token": "<unk>"})");
  const std::vector<int32_t> open = {1, 5, 9}, ended = {1, 5, 9, 2};
  const auto scores = [&](std::optional<int64_t> pad) {
    const RewardModel model(with_score_head(*base, {1, pad}));
    EXPECT_EQ(pads_with_an_end(*tokenizer, model.config()), !pad);
    return model.scores(ends_of(model, {open, ended}));
  };
  const Tensor made = scores(padding_token(*tokenizer, config)), as_loaded = scores({});
  EXPECT_GT((made[0] - made[1]).abs().item<double>(), 0.01);
  EXPECT_EQ(as_loaded[0].item<double>(), as_loaded[1].item<double>());
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

class RewardFolders : public testing::WithTransformers {
 protected:
  /// As transformers_scores.py reads them.
  static std::string as_argument(const Texts& texts) {
    std::string all;
    for (const std::vector<int32_t>& text : texts) {
      all += all.empty() ? "" : ":";
      for (size_t i = 0; i < text.size(); ++i) all += (i ? "," : "") + std::to_string(text[i]);
    }
    return all;
  }
};

TEST_F(RewardFolders, ScoreTheSameInTransformers) {
  PosixFs fs;
  const testing::TempDir dir;
  std::vector<std::shared_ptr<RewardModel>> models;
  std::string folders;
  for (const std::string& name : testing::golden_models()) {
    models.push_back(load_reward_model(fs, testing::golden("llama/" + name), {3, 2}, at::kFloat));
    save_model(fs, dir / name, models.back()->transformer(), {});
    folders += " " + (dir / name);
  }
  const Json answers = run_script("model/transformers_scores.py", as_argument(kTexts) + " 2" + folders);
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

// stories260K's pad token is its end token: a new head has another, which its own tokenizer pads with.
TEST_F(RewardFolders, OfANewHeadArePaddedByTheirOwnTokenizer) {
  const auto base = testing::shared_data("models/stories260K/hf");
  PREFER_NEEDS(base);
  PosixFs fs;
  const testing::TempDir dir;
  const auto tokenizer = load_tokenizer(base.string());
  const auto language = load_model(fs, base.string(), at::kFloat);
  ASSERT_EQ(tokenizer->pad(), tokenizer->eos());
  const RewardModel model(with_score_head(*language, {3, padding_token(*tokenizer, language->config())}));
  ASSERT_EQ(model.config().pad, 0);
  save_model(fs, dir / "reward", model.transformer(), tokenizer->files_padding_with(0));
  const Texts texts = {{1, 400, 300, 410, 350}, {1, 400, 300}, {1, 400, 300, 2}};
  const Json answers =
      run_script("model/transformers_scores.py", as_argument(texts) + " own " + (dir / "reward"));
  const Tensor scores = model.scores(ends_of(model, texts));
  EXPECT_EQ(answers.at(0).at("pad").as_integer(), 0);
  for (size_t t = 0; t < texts.size(); ++t)
    EXPECT_NEAR(scores[static_cast<int64_t>(t)].item<double>(), answers.at(0).at("scores").at(t).as_number(),
                1e-5)
        << t;
  EXPECT_GT((scores[1] - scores[2]).abs().item<double>(), 0.01);
}

}  // namespace
}  // namespace prefer
