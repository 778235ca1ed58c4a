// Every family and its odd variants: transformers' logits, loss and gradients; the same bits however a
// sequence is computed; folders that read back.
#include "prefer/core/json.hpp"
#include "prefer/model/generate.hpp"
#include "prefer/model/load.hpp"
#include "support/golden_models.hpp"
#include "support/invariance.hpp"
#include "support/scoring.hpp"
#include "support/temp_dir.hpp"
#include "support/tensors.hpp"

namespace prefer {
namespace {

using testing::batch_of;
using testing::golden;
using testing::golden_models;
using testing::score;
using testing::sequence_of;
using testing::test_name;

std::string folder_of(const std::string& name) { return golden("llama/" + name); }

NamedTensors golden_of(const std::string& name) {
  return testing::read_tensors(folder_of(name) + "/golden.safetensors");
}

std::vector<int32_t> to_ids(const Tensor& ids) {
  std::vector<int32_t> result;
  for (int64_t i = 0; i < ids.size(0); ++i) result.push_back(ids[i].item<int32_t>());
  return result;
}

// Three that begin alike, two of them further, and one alone; all but the first token scored.
std::vector<Sequence> golden_sequences(const NamedTensors& numbers) {
  std::vector<Sequence> result;
  for (int i = 0; i < 4; ++i) {
    result.push_back(sequence_of(to_ids(numbers.at("ids." + std::to_string(i))), 1, i == 3 ? 1 : 0));
  }
  return result;
}

void expect_close(const Tensor& found, const Tensor& wanted, const std::string& what) {
  const double scale = wanted.abs().max().item<double>();
  EXPECT_LE((found - wanted).abs().max().item<double>(), 1e-5 * scale) << what << ", largest " << scale;
}

class Family : public ::testing::TestWithParam<std::string> {
 protected:
  std::shared_ptr<Transformer> load(at::ScalarType type) {
    return load_model(fs_, folder_of(GetParam()), type);
  }
  PosixFs fs_;
};

TEST_P(Family, GivesTransformersLogits) {
  const auto model = load(at::kFloat);
  const NamedTensors wanted = golden_of(GetParam());
  int i = 0;
  for (const Sequence& one : golden_sequences(wanted)) {
    const std::string name = "logits." + std::to_string(i++);
    expect_close(linear(model->hidden(batch_of({one})), model->head()), wanted.at(name), name);
  }
}

TEST_P(Family, GivesTransformersLossAndEveryGradientSharedOrNot) {
  const auto model = load(at::kFloat);
  const NamedTensors wanted = golden_of(GetParam());
  model->train();
  for (const Sharing sharing : {Sharing::off, Sharing::on}) {
    for (const Parameter& p : model->parameters()) p.value.mutable_grad() = Tensor();
    const Tensor loss = -score(*model, batch_of(golden_sequences(wanted), sharing)).mean();
    loss.backward();
    expect_close(loss.detach(), wanted.at("loss"), "loss");
    for (const Parameter& p : model->parameters()) {
      expect_close(p.value.grad(), wanted.at("grad." + p.name), p.name);
    }
  }
  const auto gradients =
      std::ranges::count_if(wanted, [](const auto& t) { return t.first.starts_with("grad."); });
  EXPECT_EQ(static_cast<size_t>(gradients), model->parameters().size());
}

TEST_P(Family, ReadsBackWhatItSaved) {
  const testing::TempDir dir;
  for (const at::ScalarType type : {at::kFloat, at::kBFloat16}) {
    const auto model = load(type);
    save_model(fs_, dir / "model", *model, {});
    const auto back = load_model(fs_, dir / "model", type);
    ModelConfig config = model->config();
    config.dtype = dtype_name(type);
    EXPECT_EQ(dump(write_model_config(back->config())), dump(write_model_config(config)));
    ASSERT_EQ(back->weights().size(), model->weights().size());
    for (const auto& [name, weight] : model->weights())
      EXPECT_TRUE(at::equal(weight, back->weights().at(name))) << name;
    const Batch batch = batch_of(golden_sequences(golden_of(GetParam())));
    EXPECT_TRUE(at::equal(score(*back, batch), score(*model, batch)));
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Family, ::testing::ValuesIn(golden_models()),
                         [](const auto& one) { return test_name(one.param); });

TEST(Families, AreAllThere) {
  const std::vector<std::string> names = golden_models();
  // The other way of what the family itself does: its head tied to its embedding, or not.
  const std::map<std::string, std::string> other = {{"llama", "-tied"},     {"llama3", "-tied"},
                                                    {"smollm2", "-untied"}, {"mistral", "-tied"},
                                                    {"qwen2", "-untied"},   {"qwen3", "-tied"}};
  for (const auto& [family, head] : other) {
    for (const std::string& variant : {std::string(), std::string("-one_kv_head"), std::string("-odd_width"),
                                       std::string("-one_layer"), head})
      EXPECT_TRUE(std::ranges::count(names, family + variant)) << family << variant;
    PosixFs fs;
    const auto tied = [&](const std::string& name) {
      return load_model(fs, folder_of(name), at::kFloat)->config().tied;
    };
    EXPECT_EQ(tied(family + head), head == "-tied") << family;
    EXPECT_NE(tied(family), tied(family + head)) << family;
  }
  for (const char* more : {"llama-biases", "llama-head_dim_eps", "llama3-factor32", "mistral-no_window",
                           "qwen2-window", "qwen3-biases_window"})
    EXPECT_TRUE(std::ranges::count(names, more)) << more;
  EXPECT_EQ(names.size(), 36u);
}

using Case = std::tuple<std::string, at::ScalarType>;

class FamilyBits : public ::testing::TestWithParam<Case> {
 protected:
  void SetUp() override {
    const auto& [name, type] = GetParam();
    PREFER_NEEDS_INVARIANCE(type);
    PosixFs fs;
    model_ = load_model(fs, folder_of(name), type);
    sequences_ = golden_sequences(golden_of(name));
  }
  std::shared_ptr<Transformer> model_;
  std::vector<Sequence> sequences_;
};

TEST_P(FamilyBits, AreTheSameAlonePackedAndShared) {
  const Tensor packed = score(*model_, batch_of(sequences_));
  EXPECT_TRUE(at::equal(score(*model_, batch_of(sequences_, Sharing::on)), packed));
  int64_t begin = 0;
  for (const Sequence& one : sequences_) {
    const Tensor alone = score(*model_, batch_of({one}));
    EXPECT_TRUE(at::equal(alone, packed.narrow(0, begin, alone.size(0))));
    begin += alone.size(0);
  }
}

TEST_P(FamilyBits, AreTheSameGeneratedWithACacheAndScored) {
  std::vector<Prompt> prompts;
  for (const Sequence& one : sequences_) {
    prompts.push_back({one.tokens, prompts.size()});
    prompts.back().tokens.resize(prompts.size() * 2);
  }
  const auto texts =
      generate(*model_, prompts, {.max_new_tokens = 9, .n = 2, .batch_size = 3, .seed = 5, .stop = {-1}});
  for (size_t p = 0; p < prompts.size(); ++p) {
    for (const Completion& text : texts[p]) {
      std::vector<int32_t> whole = prompts[p].tokens;
      whole.insert(whole.end(), text.tokens.begin(), text.tokens.end());
      const auto from = static_cast<int64_t>(prompts[p].tokens.size());
      const Tensor logp = score(*model_, batch_of({sequence_of(whole, from)}));
      EXPECT_TRUE(at::equal(logp, tensor_of(text.logprobs, at::kFloat))) << p;
    }
  }
}

std::string case_name(const ::testing::TestParamInfo<Case>& one) {
  const auto& [name, type] = one.param;
  return test_name(name) + (type == at::kFloat ? "_float32" : "_bfloat16");
}

INSTANTIATE_TEST_SUITE_P(Golden, FamilyBits,
                         ::testing::Combine(::testing::ValuesIn(golden_models()),
                                            ::testing::Values(at::kFloat, at::kBFloat16)),
                         case_name);

}  // namespace
}  // namespace prefer
