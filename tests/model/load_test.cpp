// Models into folders and out of them: the same bits, the same numbers in transformers, and one line for a
// bad file.
#include "prefer/model/load.hpp"

#include "prefer/core/json.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "support/golden_models.hpp"
#include "support/python.hpp"
#include "support/scoring.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <iostream>
#include <set>

namespace prefer {
namespace {

using testing::error_of;
using testing::tiny_config;
using testing::tiny_model;

std::vector<ModelConfig> kinds() {
  ModelConfig untied = tiny_config();
  untied.tied = false;
  untied.qkv_bias = untied.output_bias = true;
  untied.eos = {2, 3};
  untied.rope.llama3 = true;
  untied.rope.factor = 8;
  untied.rope.original_context = 16;
  return {tiny_config(), untied};
}

TEST(SaveModel, LoadsBackWithTheSameBits) {
  PosixFs fs;
  const testing::TempDir dir;
  for (const ModelConfig& config : kinds()) {
    for (const at::ScalarType type : {at::kFloat, at::kBFloat16, at::kDouble}) {
      const auto model = tiny_model(type, config);
      const std::string folder = dir.string() + "/model";
      save_model(fs, folder, *model, {{"tokenizer.json", "{}"}});
      const auto back = load_model(fs, folder, type);
      ASSERT_EQ(back->weights().size(), model->weights().size());
      for (const auto& [name, weight] : model->weights())
        EXPECT_TRUE(at::equal(weight, back->weights().at(name))) << name;
      EXPECT_EQ(back->config().eos, config.eos);
      EXPECT_EQ(back->config().window, config.window);
      EXPECT_EQ(back->config().rope.factor, config.rope.factor);
      EXPECT_EQ(read_file(fs, folder + "/tokenizer.json", 99), "{}");
      EXPECT_FALSE(fs.exists(folder + ".tmp"));
    }
  }
}

TEST(LoadModel, ChangesTheTypeOfALargeTensorAsOfOneWhole) {
  ModelConfig config = tiny_config();
  config.vocab_size = 4200;
  config.hidden_size = 64;
  ASSERT_GT(config.vocab_size * config.hidden_size, 1 << 18);  // elements that are read at a time
  PosixFs fs;
  const testing::TempDir dir;
  const std::vector<std::pair<at::ScalarType, at::ScalarType>> changes = {
      {at::kBFloat16, at::kFloat}, {at::kFloat, at::kBFloat16}, {at::kDouble, at::kFloat}};
  for (const auto& [from, to] : changes) {
    const auto model = tiny_model(from, config);
    save_model(fs, dir / "model", *model, {});
    const auto back = load_model(fs, dir / "model", to);
    for (const auto& [name, weight] : model->weights()) {
      EXPECT_EQ(back->weights().at(name).scalar_type(), to) << name;
      EXPECT_TRUE(at::equal(back->weights().at(name), weight.to(to))) << name;
    }
  }
}

// The folders under tests/golden/llama are transformers' own, so what it reads of ours it has written itself.
TEST(SaveModel, WritesTheTensorsAndTheConfigThatTransformersWrote) {
  PosixFs fs;
  const testing::TempDir dir;
  // Of training and caches; and what transformers itself makes of the window's keys.
  const std::set<std::string> no_matter{"attention_dropout", "initializer_range",    "pretraining_tp",
                                        "use_cache",         "transformers_version", "layer_types"};
  for (const std::string& name : testing::golden_models()) {
    SCOPED_TRACE(name);
    const std::string theirs = testing::golden("llama/" + name), ours = dir / name;
    save_model(fs, ours, *load_model(fs, theirs, at::kBFloat16), {});
    const NamedTensors wanted = testing::read_tensors(theirs + "/model.safetensors"),
                       written = testing::read_tensors(ours + "/model.safetensors");
    ASSERT_EQ(written.size(), wanted.size());
    for (const auto& [key, tensor] : wanted) {
      ASSERT_TRUE(written.contains(key)) << key;
      EXPECT_EQ(written.at(key).scalar_type(), tensor.scalar_type()) << key;
      EXPECT_TRUE(at::equal(written.at(key), tensor)) << key;
    }
    const auto config_of = [&](const std::string& folder) {
      return parse_json(read_file(fs, folder + "/config.json", 1 << 20), folder);
    };
    const Json config = config_of(ours), original = config_of(theirs);
    for (const auto& [key, value] : original.as_object()) {
      const bool windowless =
          original.contains("use_sliding_window") && !original.at("use_sliding_window").as_bool();
      if (no_matter.contains(key) || (windowless && key == "max_window_layers")) continue;
      ASSERT_TRUE(config.contains(key)) << key;
      if (value.is_object()) {
        for (const auto& [inner, part] : value.as_object())
          EXPECT_EQ(dump(config.at(key).at(inner)), dump(part)) << key << "." << inner;
      } else {
        EXPECT_EQ(dump(config.at(key)), dump(value)) << key;
      }
    }
  }
}

TEST(ModelFingerprint, IsOfTheContentWhereverItLies) {
  PosixFs fs;
  const testing::TempDir dir;
  const auto fingerprint = [&](const std::string& name, const ModelConfig& config, uint64_t seed) {
    save_model(fs, dir.string() + name, *tiny_model(at::kFloat, config, seed), {{"notes.txt", name}});
    return model_fingerprint(fs, dir.string() + name);
  };
  const std::string first = fingerprint("/a", tiny_config(), 1);
  EXPECT_EQ(fingerprint("/b", tiny_config(), 1), first);
  EXPECT_NE(fingerprint("/c", tiny_config(), 2), first);
  ModelConfig other = tiny_config();
  other.rope.theta *= 2;
  EXPECT_NE(fingerprint("/d", other, 1), first);
}

class Transformers : public testing::WithTransformers {
 protected:
  Json read(const std::vector<int32_t>& ids, const std::string& text, const std::string& folders) {
    std::string list;
    for (const int32_t id : ids) list += (list.empty() ? "" : ",") + std::to_string(id);
    const std::string written = dir_ / "logits.safetensors";
    const Json answers =
        run_script("model/transformers_reads.py", list + " '" + text + "' " + written + " " + folders);
    logits_ = testing::read_tensors(written);
    EXPECT_EQ(answers.size(), logits_.size());
    return answers;
  }
  /// All logits of folder `index` are the model's, within `tolerance` of the largest.
  void expect_same_logits(const Transformer& model, const std::vector<int32_t>& ids, size_t index,
                          double tolerance) {
    const Tensor theirs = logits_.at(std::to_string(index));
    const Tensor ours =
        times_transposed(model.hidden(testing::batch_of({testing::sequence_of(ids)})).detach(), model.head());
    ASSERT_EQ(ours.sizes(), theirs.sizes());
    ASSERT_EQ(ours.size(1), model.config().vocab_size);
    const double scale = theirs.abs().max().item<double>();
    const double off = (ours - theirs).abs().max().item<double>() / scale;
    EXPECT_LE(off, tolerance) << "folder " << index;
    furthest_ = std::max(furthest_, off);
  }

  NamedTensors logits_;  // of each folder by its place, [T, V]
  double furthest_ = 0;  // of any logit, as a part of the largest

  PosixFs fs_;
  testing::TempDir dir_;
};

TEST_F(Transformers, ReadSavedFoldersOfEveryFamilyAndComputeTheSame) {
  const std::vector<int32_t> ids{1, 5, 9, 3, 7, 7, 20, 11, 4, 16};
  std::vector<std::shared_ptr<Transformer>> models;
  std::string folders;
  for (const std::string& name : testing::golden_models()) {
    const auto made = load_model(fs_, testing::golden("llama/" + name), at::kFloat);
    ModelConfig config = made->config();
    config.eos = {2, 3};
    models.push_back(std::make_shared<Transformer>(config, made->weights()));
    save_model(fs_, dir_ / name, *models.back(), {});
    folders += " " + (dir_ / name);
  }
  const Json answers = read(ids, "", folders);
  ASSERT_EQ(answers.size(), models.size());
  for (size_t i = 0; i < models.size(); ++i) {
    expect_same_logits(*models[i], ids, i, 1e-5);
    EXPECT_EQ(dump(answers.at(i).at("eos")), "[2,3]");
  }
  std::cout << models.size() << " saved folders: logits within " << furthest_ << " of the largest\n";
}

TEST_F(Transformers, ReadSmolLm2SavedFromItsGguf) {
  PREFER_NEEDS(testing::smollm2());
  const auto model = load_model(fs_, testing::smollm2(), at::kFloat);
  const auto tokenizer = load_tokenizer(testing::smollm2());
  save_model(fs_, dir_.string() + "/smollm2", *model, tokenizer->files());
  const std::string text =
      "In 2024, the 35th naïve café served 1,250 cups.\n  <|im_start|>user\nHow many?<|im_end|>";
  const std::vector<int32_t> ids = tokenizer->encode(text, Specials::recognise);
  const Json answers = read(ids, text, dir_.string() + "/smollm2");
  const Json& answer = answers.at(std::size_t{0});
  std::vector<int32_t> theirs;
  for (const Json& id : answer.at("ids").as_array()) theirs.push_back(static_cast<int32_t>(id.as_integer()));
  EXPECT_EQ(theirs, ids);
  EXPECT_NE(answer.at("chat").as_string().find("<|im_start|>user\nHi<|im_end|>"), std::string::npos);
  expect_same_logits(*model, ids, 0, 1e-5);
  std::cout << "SmolLM2: " << ids.size() << " tokens' logits within " << furthest_ << " of the largest\n";
}

class BadFolder : public ::testing::Test {
 protected:
  void SetUp() override { save_model(fs_, folder(), *tiny_model(at::kFloat), {}); }
  std::string folder() const { return dir_.string() + "/model"; }
  std::string error() {
    return error_of([&] { load_model(fs_, folder(), at::kFloat); });
  }
  void rewrite(const NamedTensors& weights) {
    fs_.remove(folder() + "/model.safetensors");
    std::vector<TensorToStore> tensors;
    for (const auto& [name, w] : weights) {
      tensors.push_back(stored(name, w.scalar_type() == at::kLong ? StoredType::kI64 : StoredType::kF32,
                               w.sizes().vec(),
                               {static_cast<const std::byte*>(w.const_data_ptr()), w.nbytes()}));
    }
    write_safetensors(fs_, folder() + "/model.safetensors", tensors);
  }

  PosixFs fs_;
  testing::TempDir dir_;
};

TEST_F(BadFolder, NamesWhatIsMissingTooManyOrMisshapen) {
  const NamedTensors good = testing::random_weights(tiny_config(), 1, at::kFloat);
  NamedTensors bad = good;
  bad.erase("model.norm.weight");
  rewrite(bad);
  EXPECT_EQ(error(), folder() + ": model.norm.weight [16] is missing from the safetensors");
  bad = good;
  bad["model.norm.weight"] = at::ones({17});
  rewrite(bad);
  EXPECT_NE(error().find("model.norm.weight is F32 [17] at byte "), std::string::npos) << error();
  bad = good;
  bad["model.norm.weight"] = at::ones({16}, at::kLong);
  rewrite(bad);
  EXPECT_NE(error().find("model.norm.weight is I64 [16] at byte "), std::string::npos) << error();
  bad = good;
  bad["score.weight"] = at::ones({1, 16});
  rewrite(bad);
  EXPECT_EQ(
      error(),
      folder() +
          "/model.safetensors: score.weight is not a weight of a llama model with num_hidden_layers = 2");
}

TEST_F(BadFolder, WithATiedHeadThatIsAnotherIsNotReadHalf) {
  NamedTensors weights = testing::random_weights(tiny_config(), 1, at::kFloat);
  weights["lm_head.weight"] = weights.at("model.embed_tokens.weight");
  rewrite(weights);
  EXPECT_EQ(error(), "");
  weights["lm_head.weight"] = weights.at("model.embed_tokens.weight") + 1;
  rewrite(weights);
  EXPECT_EQ(error(), folder() +
                         ": lm_head.weight is not model.embed_tokens.weight, and config.json says "
                         "tie_word_embeddings = true; false keeps both");
}

TEST_F(BadFolder, WithoutAConfigSaysWhatAModelIs) {
  fs_.remove(folder() + "/config.json");
  EXPECT_EQ(error(), folder() +
                         ": a model is a folder with config.json and safetensors, or a .gguf file; there is "
                         "no config.json here");
}

TEST(Dtype, NamesAreThoseOfConfigs) {
  EXPECT_EQ(dtype_from_name("bf16"), at::kBFloat16);
  EXPECT_EQ(dtype_name(dtype_from_name("float64")), "float64");
  EXPECT_THROW(dtype_from_name("int8"), Error);
}

}  // namespace
}  // namespace prefer
