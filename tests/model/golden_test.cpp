// The forward and backward passes against transformers' numbers: tiny models of each family, and
// SmolLM2-135M.
#include "prefer/core/json.hpp"
#include "prefer/model/load.hpp"
#include "prefer/ops/linear_logprob.hpp"
#include "support/data.hpp"
#include "support/tensors.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::golden;
using testing::read_tensors;

/// All tokens of one sequence, each scored but the first.
Batch one_sequence(const std::vector<int32_t>& ids) {
  Sequence sequence;
  sequence.tokens = ids;
  sequence.scored = {{1, static_cast<int64_t>(ids.size()), Term::completion}};
  return make_batch(make_forest(std::vector<Sequence>{sequence}, Sharing::off));
}

Tensor score(const Transformer& model, const Batch& batch) {
  return linear_logprob(model.hidden(batch).index_select(0, batch.row), model.head(), batch.label).logp;
}

void expect_close(const Tensor& found, const Tensor& wanted, double tolerance, const std::string& what) {
  const double scale = wanted.abs().max().item<double>();
  EXPECT_LE((found - wanted).abs().max().item<double>(), tolerance * scale) << what;
}

class Family : public ::testing::TestWithParam<const char*> {};

TEST_P(Family, GivesTransformersLogitsLossAndGradients) {
  const std::string folder = golden(std::string("llama/") + GetParam());
  PosixFs fs;
  const auto model = load_model(fs, folder, at::kFloat);
  const NamedTensors wanted = read_tensors(folder + "/golden.safetensors");
  const Tensor ids = wanted.at("ids");
  std::vector<int32_t> tokens;
  for (int64_t i = 0; i < ids.size(0); ++i) tokens.push_back(ids[i].item<int32_t>());
  model->train();
  const Batch batch = one_sequence(tokens);
  expect_close(linear(model->hidden(batch), model->head()).detach(), wanted.at("logits"), 1e-5, "logits");
  const Tensor loss = -score(*model, batch).mean();
  loss.backward();
  expect_close(loss.detach(), wanted.at("loss"), 1e-5, "loss");
  for (const Parameter& p : model->parameters()) {
    expect_close(p.value.grad(), wanted.at("grad." + p.name), 1e-5, p.name);
  }
}

INSTANTIATE_TEST_SUITE_P(Golden, Family, ::testing::Values("llama", "llama3", "mistral", "qwen2", "qwen3"),
                         [](const auto& family) { return std::string(family.param); });

class SmolLm2 : public ::testing::Test {
 protected:
  void SetUp() override {
    PREFER_NEEDS(testing::smollm2());
    PosixFs fs;
    const std::string path = golden("llama/smollm2.json");
    wanted_ = parse_json(read_file(fs, path, 1 << 20), path);
    model_ = load_model(fs, testing::smollm2(), at::kFloat);
  }
  static std::vector<int32_t> ids(const Json& list) {
    std::vector<int32_t> result;
    for (const Json& id : list.as_array()) result.push_back(static_cast<int32_t>(id.as_integer()));
    return result;
  }

  Json wanted_;
  std::shared_ptr<Transformer> model_;
};

TEST_F(SmolLm2, GivesTransformersLogProbabilitiesOnTheSameWeights) {
  EXPECT_EQ(model_->parameter_count(), 134'515'008);
  for (const Json& wanted : wanted_.at("cases").as_array()) {
    const Tensor logp = score(*model_, one_sequence(ids(wanted.at("ids"))));
    for (int64_t i = 0; i < logp.size(0); ++i) {
      EXPECT_NEAR(logp[i].item<double>(), wanted.at("logprobs").at(static_cast<size_t>(i)).as_number(), 1e-4)
          << wanted.at("text").as_string() << " " << i;
    }
  }
}

}  // namespace
}  // namespace prefer
