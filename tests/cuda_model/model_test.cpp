// Tiny models on the GPU against the CPU: log-probabilities, loss, gradients, generation.
#include "cuda_model/device.hpp"
#include "prefer/model/generate.hpp"
#include "support/family.hpp"

namespace prefer {
namespace {

using testing::expect_near;
using testing::family;
using testing::kGpu;
using testing::kModel;
using testing::loss_of;
using testing::tiny_config;

/// Heads as wide as those of real models, more of them than keys.
ModelConfig wide_config() {
  ModelConfig config = tiny_config();
  config.hidden_size = 192;
  config.intermediate_size = 320;
  config.heads = 3;
  config.kv_heads = 1;
  config.head_dim = config.rope.dim = 64;
  config.initializer_range = 0.08;
  return config;
}

std::shared_ptr<Transformer> model_on(at::Device device, const ModelConfig& config,
                                      at::ScalarType type = at::kFloat) {
  NamedTensors weights = testing::random_weights(config, 1, type);
  for (auto& [name, weight] : weights) weight = weight.to(device);
  return std::make_shared<Transformer>(config, std::move(weights));
}

struct Outcome {
  Tensor hidden, loss;
  NamedTensors gradients;
};

Outcome run(at::Device device, const ModelConfig& config, Sharing sharing, bool checkpointing) {
  const auto model = model_on(device, config);
  const Batch batch = make_batch(make_forest(family(), sharing), device);
  model->train();
  model->checkpoint_activations(checkpointing);
  Outcome outcome{model->hidden(batch).detach(), loss_of(*model, batch), {}};
  outcome.loss.backward();
  for (const Parameter& p : model->parameters()) outcome.gradients[p.name] = p.value.grad();
  return outcome;
}

TEST(CudaModel, LossAndGradientsAreTheCpus) {
  for (const ModelConfig& config : {tiny_config(), testing::every_option(), wide_config()}) {
    for (const bool checkpointing : {false, true}) {
      const Outcome wanted = run(at::kCPU, config, Sharing::on, false);
      const Outcome found = run(kGpu, config, Sharing::on, checkpointing);
      expect_near(found.hidden, wanted.hidden, kModel, "hidden");
      expect_near(found.loss, wanted.loss, kModel, "loss");
      for (const auto& [name, value] : wanted.gradients)
        expect_near(found.gradients.at(name), value, kModel, name);
    }
  }
}

TEST(CudaModel, SharedPrefixesGiveTheLossOfUnsharedOnes) {
  const Outcome shared = run(kGpu, wide_config(), Sharing::on, false);
  const Outcome apart = run(kGpu, wide_config(), Sharing::off, false);
  expect_near(shared.loss, apart.loss.to(at::kCPU), kModel, "loss");
  for (const auto& [name, value] : apart.gradients)
    expect_near(shared.gradients.at(name), value.to(at::kCPU), kModel, name);
}

/// Wider weights leave no near ties between tokens, so that the same ones are drawn.
TEST(CudaModel, GeneratesTheCpusTokensAndLogProbabilities) {
  const std::vector<Prompt> prompts{{{1, 5, 9}, 0}, {{4, 4, 6, 10, 11}, 1}, {{3}, 2}};
  for (const ModelConfig& config : {tiny_config(), testing::every_option(), wide_config()}) {
    const auto cpu = model_on(at::kCPU, config), gpu = model_on(kGpu, config);
    for (const double temperature : {0.0, 1.0}) {
      const GenerateOptions options{
          .max_new_tokens = 12, .temperature = temperature, .n = 2, .batch_size = 4, .stop = {-1}};
      const auto wanted = generate(*cpu, prompts, options), found = generate(*gpu, prompts, options);
      for (size_t p = 0; p < prompts.size(); ++p) {
        for (size_t s = 0; s < 2; ++s) {
          EXPECT_EQ(found[p][s].tokens, wanted[p][s].tokens);
          for (size_t i = 0; i < wanted[p][s].logprobs.size(); ++i)
            EXPECT_NEAR(found[p][s].logprobs[i], wanted[p][s].logprobs[i], kModel);
        }
      }
    }
  }
}

TEST(CudaModel, APromptOutsideTheVocabularyIsAnErrorThatLeavesTheDeviceUsable) {
  const auto gpu = model_on(kGpu, tiny_config());
  EXPECT_THROW(generate(*gpu, std::vector<Prompt>{{{1, 99}, 0}}, {.max_new_tokens = 2}), Error);
  EXPECT_EQ(generate(*gpu, std::vector<Prompt>{{{1, 2}, 0}}, {.max_new_tokens = 2, .stop = {-1}})[0][0]
                .tokens.size(),
            2u);
}

}  // namespace
}  // namespace prefer
