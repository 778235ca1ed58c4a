// AdamW and the schedules against torch and transformers (tests/golden/make_train.py).
#include "prefer/core/json.hpp"
#include "support/data.hpp"
#include "support/error.hpp"
#include "tests/train/tiny.hpp"

#include <fstream>

namespace prefer::testing {
namespace {

Json train_golden() {
  std::ifstream file(golden("train.json"));
  return parse_json(std::string(std::istreambuf_iterator<char>(file), {}), "train.json");
}

Tensor tensor_from(const Json& json, at::ScalarType type) {
  std::vector<double> values;
  std::vector<int64_t> sizes = {static_cast<int64_t>(json.size())};
  for (const Json& row : json.as_array()) {
    if (!row.is_array()) {
      values.push_back(row.as_number());
      continue;
    }
    if (sizes.size() == 1) sizes.push_back(static_cast<int64_t>(row.size()));
    for (const Json& value : row.as_array()) values.push_back(value.as_number());
  }
  return tensor_of(values, at::kDouble).reshape(sizes).to(type);
}

double distance(const Tensor& a, const Tensor& b) {
  return (a.detach().to(at::kDouble) - b.detach().to(at::kDouble)).abs().max().item<double>();
}

/// Five steps with clipping to 1; the matrix decays, the vector does not.
void follow_torch(const Json& record, at::ScalarType type, double tolerance) {
  Tensor matrix = tensor_from(record.at("matrix"), type).requires_grad_(true);
  Tensor vector = tensor_from(record.at("vector"), type).requires_grad_(true);
  const std::vector<Trained> parameters = {{"matrix", matrix, 1}, {"vector", vector, 1}};
  Gradients gradients(parameters);
  AdamW optimizer({.learning_rate = 0.01,
                   .weight_decay = 0.1,
                   .adam_beta1 = 0.8,
                   .adam_beta2 = 0.95,
                   .adam_epsilon = 1e-6,
                   .max_grad_norm = 1},
                  parameters);
  for (const Json& step : record.at("steps").as_array()) {
    gradients.clear();
    const Tensor loss = (matrix * tensor_from(step.at("matrix_grad"), type)).sum() +
                        (vector * tensor_from(step.at("vector_grad"), type)).sum();
    loss.backward();
    const double norm = gradients.norm();
    EXPECT_NEAR(norm, step.at("norm").as_number(), tolerance * norm);
    optimizer.update(gradients.sums(), 0.01, optimizer.clipping(norm));
    EXPECT_LE(distance(matrix, tensor_from(step.at("matrix"), at::kDouble)), tolerance);
    EXPECT_LE(distance(vector, tensor_from(step.at("vector"), at::kDouble)), tolerance);
  }
}

TEST(AdamW, FollowsTorchInDouble) { follow_torch(train_golden().at("adamw_double"), at::kDouble, 1e-14); }
TEST(AdamW, FollowsTorchInFloat) { follow_torch(train_golden().at("adamw_float"), at::kFloat, 5e-7); }

TEST(AdamW, LearningRateScaleIsTheGroups) {
  Tensor fast = at::zeros({2, 2}, at::kDouble).requires_grad_(true);
  Tensor slow = at::zeros({2, 2}, at::kDouble).requires_grad_(true);
  AdamW optimizer({}, {{"fast", fast, 10}, {"slow", slow, 1}});
  optimizer.update({at::ones({2, 2}, at::kDouble), at::ones({2, 2}, at::kDouble)}, 0.01, 1);
  EXPECT_LE(distance(fast, slow * 10), 1e-15);
  EXPECT_NEAR(fast[0][0].item<double>(), -0.1, 1e-8);
}

/// The closing remark of section 2 of Kingma and Ba 2015 (arXiv 1412.6980), which TensorFlow 1 follows:
///   p <- p - lr sqrt(1 - beta2^t) / (1 - beta1^t) m / (sqrt(v) + eps).
TEST(AdamW, UncorrectedEpsilonIsAddedToTheRootAsItIs) {
  Tensor value = at::full({1}, 2.0, at::kDouble).requires_grad_(true);
  AdamW optimizer(
      {.adam_beta1 = 0.9, .adam_beta2 = 0.99, .adam_epsilon = 1e-2, .adam_epsilon_mode = "uncorrected"},
      {{"value", value, 1}});
  double p = 2, m = 0, v = 0;
  for (int t = 1; t <= 4; ++t) {
    const double g = 0.3 * t - 0.5;
    optimizer.update({at::full({1}, g, at::kDouble)}, 0.1, 1);
    m += 0.1 * (g - m), v += 0.01 * (g * g - v);
    p -= 0.1 * std::sqrt(1 - std::pow(0.99, t)) / (1 - std::pow(0.9, t)) * m / (std::sqrt(v) + 1e-2);
    EXPECT_NEAR(value.item<double>(), p, 1e-14) << "step " << t;
  }
}

TEST(Schedule, FollowsTransformers) {
  const Json golden = train_golden();
  for (const Json& record : golden.at("schedules").as_array()) {
    const int64_t steps = record.at("steps").as_integer();
    for (const char* kind : {"constant", "linear", "cosine"}) {
      const ScheduleConfig schedule{
          .lr_scheduler_type = kind, .warmup_steps = record.at("warmup").as_integer(), .warmup_ratio = 0};
      for (int64_t step = 1; step <= steps; ++step) {
        EXPECT_NEAR(schedule.factor(step, steps),
                    record.at(kind).at(static_cast<std::size_t>(step - 1)).as_number(), 1e-15)
            << kind << " step " << step << " of " << steps;
      }
    }
  }
}

TEST(Schedule, RatioIsRoundedUpAsTransformersDoes) {
  const ScheduleConfig by_ratio{.lr_scheduler_type = "linear", .warmup_steps = 0, .warmup_ratio = 0.21};
  const ScheduleConfig by_steps{.lr_scheduler_type = "linear", .warmup_steps = 3, .warmup_ratio = 0};
  for (int64_t step = 1; step <= 10; ++step) EXPECT_EQ(by_ratio.factor(step, 10), by_steps.factor(step, 10));
}

}  // namespace
}  // namespace prefer::testing
