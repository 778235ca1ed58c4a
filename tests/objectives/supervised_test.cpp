// The supervised objective on a tiny model: the mean over scored tokens of the whole step however it is cut,
// its gradient, and its metrics.
#include "prefer/objectives/supervised.hpp"

#include "prefer/batch/record_source.hpp"
#include "support/finite_differences.hpp"
#include "support/pairs.hpp"
#include "support/step.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::Outcome;
using testing::tiny_model;

/// Texts of unequal lengths, some of their tokens scored; shares of one and a half.
std::shared_ptr<const std::vector<Record>> texts(int64_t n) {
  auto result = std::make_shared<std::vector<Record>>();
  const auto pairs = testing::records(n);
  for (const Record& pair : *pairs) result->push_back({pair.front()});
  result->front().front().scored = {{1, 2}, {2, 3, Term::prompt}};
  return result;
}

Outcome step(const RecordOrder& order) {
  const auto model = tiny_model(at::kDouble);
  model->train();
  RecordSource source(texts(9), order);
  SupervisedObjective objective(model);
  return testing::step(objective, source);
}

TEST(SupervisedObjective, AnyCutGivesOneLossAndGradient) {
  const Outcome whole = step({.batch_size = 9});
  EXPECT_NEAR(whole.metrics.at("loss"), whole.loss, 1e-12);
  for (const int64_t tokens : {1, 20, 40})
    expect_same(step({.batch_size = 9, .tokens_per_slot = tokens}), whole, 1e-12);
}

TEST(SupervisedObjective, IsTheMeanOverTokensOfLogSoftmax) {
  const auto model = tiny_model(at::kDouble);
  RecordSource source(texts(5), {.batch_size = 5});
  const Plan plan = source.plan(1);
  const Batch batch = source.batch(1, plan.slots.front());
  const Tensor rows = model->hidden(batch).index_select(0, batch.row);
  const Tensor all = at::log_softmax(at::linear(rows, model->head().weight()), 1);  // [M, V]
  double nll = 0, right = 0, entropy = 0, weight = 0;
  for (int64_t m = 0; m < batch.scored(); ++m) {
    const Tensor row = all[m];
    const int64_t label = batch.label[m].item<int64_t>();
    const double share = batch.share[batch.sequence[m].item<int64_t>()].item<double>();
    nll -= share * row[label].item<double>();
    right += share * static_cast<double>(row[label].item<double>() == row.max().item<double>());
    entropy -= share * (row.exp() * row).sum().item<double>();
    weight += share;
  }
  SupervisedObjective objective(model);
  const Loss loss = objective(batch, {});
  EXPECT_NEAR(loss.divided_by(objective.count(plan)).item<double>(), nll / weight, 1e-12);
  const auto metrics = loss.metrics.values();
  EXPECT_NEAR(metrics.at("loss"), nll / weight, 1e-12);
  EXPECT_NEAR(metrics.at("mean_token_accuracy"), right / weight, 1e-12);
  EXPECT_NEAR(metrics.at("entropy"), entropy / weight, 1e-12);
  RecordSource same(texts(5), {.batch_size = 5, .tokens_per_slot = 1});
  Metrics cut;
  for (const Slot& slot : same.plan(1).slots) cut.merge(objective(same.batch(1, slot), {}).metrics);
  EXPECT_NEAR(cut.values().at("entropy"), entropy / weight, 1e-12);
}

TEST(SupervisedObjective, GradientIsThatOfFiniteDifferences) {
  const auto model = tiny_model(at::kDouble);
  model->train();
  RecordSource source(texts(3), {.batch_size = 3});
  const Plan plan = source.plan(1);
  const Batch batch = source.batch(1, plan.slots.front());
  SupervisedObjective objective(model);
  const auto loss = [&] { return objective(batch, {}).divided_by(objective.count(plan)); };
  loss().backward();
  const Tensor weight = model->weights().at("model.layers.1.self_attn.v_proj.weight");
  const Tensor numeric = testing::finite_differences(loss, weight.detach());
  EXPECT_LE((weight.grad() - numeric).abs().max().item<double>(), 1e-7 * numeric.abs().max().item<double>());
}

}  // namespace
}  // namespace prefer
