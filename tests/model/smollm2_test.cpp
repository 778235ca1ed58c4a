// SmolLM2-135M against transformers on the same weights.
#include "prefer/core/json.hpp"
#include "prefer/model/load.hpp"
#include "support/data.hpp"
#include "support/scoring.hpp"

#include <gtest/gtest.h>

#include <iostream>

namespace prefer {
namespace {

using testing::golden;

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
    const Tensor logp =
        testing::score(*model_, testing::batch_of({testing::sequence_of(ids(wanted.at("ids")))}));
    for (int64_t i = 0; i < logp.size(0); ++i) {
      EXPECT_NEAR(logp[i].item<double>(), wanted.at("logprobs").at(static_cast<size_t>(i)).as_number(), 1e-4)
          << wanted.at("text").as_string() << " " << i;
    }
  }
}

// Both with weights rounded to bfloat16, so that only activations differ (docs/numerics.md).
TEST_F(SmolLm2, InBfloat16ItIsNearItsFloat32) {
  NamedTensors rounded;
  for (const auto& [name, weight] : model_->weights()) rounded[name] = weight.detach().to(at::kBFloat16);
  NamedTensors exact;
  for (const auto& [name, weight] : rounded) exact[name] = weight.to(at::kFloat);
  const Transformer ours(model_->config(), std::move(rounded)), theirs(model_->config(), std::move(exact));
  double sum = 0, count = 0;
  for (const Json& wanted : wanted_.at("cases").as_array()) {
    const Batch batch = testing::batch_of({testing::sequence_of(ids(wanted.at("ids")))});
    const Tensor gaps =
        (testing::score(ours, batch).to(at::kDouble) - testing::score(theirs, batch).to(at::kDouble)).abs();
    sum += gaps.sum().item<double>();
    count += static_cast<double>(gaps.numel());
  }
  std::cout << "SmolLM2 in bfloat16: " << sum / count << " nats a token from float32 on average, of " << count
            << " tokens\n";
  EXPECT_LT(sum / count, 0.06);
}

}  // namespace
}  // namespace prefer
