// Steps of DPO on the GPU against the CPU: losses, gradient norms and rewards, step by step.
#include "cuda_model/device.hpp"
#include "prefer/batch/record_source.hpp"
#include "prefer/losses/dpo.hpp"
#include "prefer/objectives/preference.hpp"
#include "prefer/train/fit.hpp"
#include "support/pairs.hpp"
#include "support/tiny_model.hpp"

#include <cmath>

namespace prefer {
namespace {

using testing::kGpu;
using Steps = std::vector<std::map<std::string, double>>;

std::shared_ptr<Transformer> model_on(at::Device device, at::ScalarType type) {
  NamedTensors weights = testing::random_weights(testing::tiny_config(), 1, type);
  for (auto& [name, weight] : weights) weight = weight.to(device);
  return std::make_shared<Transformer>(testing::tiny_config(), std::move(weights));
}

/// The metrics of each step; the reference is the policy as it starts, which the first step's identity
/// checks.
Steps train(at::Device device, at::ScalarType type) {
  const auto policy = model_on(device, type);
  policy->train();
  const double bound = type == at::kBFloat16 ? 2 : 1e-2;
  PreferenceObjective objective(policy, Dpo{.beta = 0.5}, {model_on(device, type), true, bound});
  RecordSource source(testing::records(12), {.batch_size = 6, .tokens_per_slot = 40}, device);
  FitConfig config;
  config.steps = 12;
  config.optimizer.learning_rate = 5e-3;
  Alone team;
  Steps steps;
  fit(config, source, objective, team, {[&](StepEvent& event) { steps.push_back(event.metrics); }});
  for (const Parameter& p : policy->parameters()) EXPECT_EQ(p.value.device(), device) << p.name;
  return steps;
}

TEST(CudaTrain, DpoGoesAsOnTheCpu) {
  const Steps wanted = train(at::kCPU, at::kFloat), found = train(kGpu, at::kFloat);
  ASSERT_EQ(found.size(), wanted.size());
  EXPECT_NEAR(found.front().at("loss"), std::log(2.0), 1e-6);
  for (size_t i = 0; i < wanted.size(); ++i) {
    for (const auto& [name, value] : wanted[i]) {
      // Each step starts from weights that differ by what the steps before rounded: as for TRL in
      // docs/numerics.md.
      EXPECT_NEAR(found[i].at(name), value, testing::kModel * std::max(1.0, std::abs(value)))
          << name << ", step " << i + 1;
    }
  }
  EXPECT_LT(found.back().at("loss"), 0.5 * found.front().at("loss"));
}

TEST(CudaTrain, DpoInBf16LearnsToo) {
  const Steps steps = train(kGpu, at::kBFloat16);
  EXPECT_LT(steps.back().at("loss"), 0.6 * steps.front().at("loss"));
}

}  // namespace
}  // namespace prefer
