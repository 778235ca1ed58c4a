// The PPO objective on a tiny model in f64: its gradient against finite differences, cuts, identities, its
// controller.
#include "prefer/objectives/ppo.hpp"

#include "prefer/batch/record_source.hpp"
#include "prefer/core/error.hpp"
#include "prefer/objectives/logprob.hpp"
#include "support/finite_differences.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <cmath>

namespace prefer {
namespace {

using testing::normal;
using testing::tiny_config;
using testing::tiny_model;

/// Six questions with two answers each, and numbers for all their tokens.
std::unique_ptr<RecordSource> rollouts(const RecordOrder& order) {
  auto records = std::make_shared<std::vector<Record>>();
  std::vector<std::vector<ScoredColumn>> columns(4);
  uint64_t seed = 1;
  for (int32_t i = 0; i < 6; ++i) {
    Record record;
    int64_t tokens = 0;
    for (int32_t s = 0; s < 2; ++s) {
      Sequence sequence;
      for (int32_t k = 0; k < 3 + i % 2 + 2 + (i + s) % 3; ++k)
        sequence.tokens.push_back((7 * i + 5 * k * k + (k > 3 ? 11 * s : 0) + 3) % 23);
      const int64_t begin = 3 + i % 2, end = static_cast<int64_t>(sequence.tokens.size());
      sequence.scored = {{begin, end, Term::completion}};
      for (int64_t t = begin; t < end; ++t) sequence.reads.push_back({.token = t - 1});
      tokens += end - begin;
      record.push_back(std::move(sequence));
    }
    for (auto& column : columns) {
      const Tensor values = normal({tokens}, seed++, at::kFloat);
      column.emplace_back(values.const_data_ptr<float>(), values.const_data_ptr<float>() + tokens);
    }
    for (float& logp : columns[0].back()) logp = -3 + 0.3f * logp;
    records->push_back(std::move(record));
  }
  auto source = std::make_unique<RecordSource>(std::move(records), order);
  const char* const names[] = {"old_logp", "advantage", "value", "returns"};
  for (size_t c = 0; c < 4; ++c) source->attach(names[c], columns[c]);
  return source;
}

struct Scene {
  explicit Scene(bool shared, double entropy_coef = 0.05, at::ScalarType dtype = at::kDouble) {
    policy = tiny_model(dtype, tiny_config(), 1);
    policy->train();
    if (shared) {
      value = std::make_shared<SharedValueModel>(16, dtype, at::kCPU);
    } else {
      const auto network = value_network(*tiny_model(dtype, tiny_config(), 2));
      network->transformer().train();
      value = std::make_shared<OwnValueModel>(network);
    }
    {
      const c10::NoGradGuard frozen;
      Tensor(value->parameters().back().value).copy_(0.3 * normal({1, 16}, 9));
    }
    iteration.steps = 2;
    objective =
        std::make_unique<PpoObjective>(policy, value,
                                       PpoSettings{.loss = {.vf_coef = 0.3, .entropy_coef = entropy_coef},
                                                   .temperature = 0.7,
                                                   .value_rate_scale = 3},
                                       iteration, controller);
  }
  Parameters parameters() const {
    Parameters all;
    for (const ParameterGroup& group : objective->parameters())
      all.insert(all.end(), group.parameters.begin(), group.parameters.end());
    return all;
  }

  std::shared_ptr<Transformer> policy;
  std::shared_ptr<ValueModel> value;
  Iteration iteration;
  KlController controller{0.1, 6, 1000};
  std::unique_ptr<PpoObjective> objective;
};

/// The loss of the whole step, summed over its slots.
Tensor loss_of(PpoObjective& objective, RecordSource& source, bool backwards = false) {
  Plan plan = source.plan(1);
  const Counts total = objective.count(plan);
  if (backwards) std::ranges::reverse(plan.slots);
  Tensor loss = at::zeros({}, at::kDouble);
  for (const Slot& slot : plan.slots) loss = loss + objective(source.batch(1, slot), {}).divided_by(total);
  return loss;
}

class PpoGradient : public ::testing::TestWithParam<bool> {};
INSTANTIATE_TEST_SUITE_P(ValueModels, PpoGradient, ::testing::Bool(),
                         [](const auto& shared) { return shared.param ? "Shared" : "Own"; });

TEST_P(PpoGradient, IsTheFiniteDifferenceAlongRandomDirections) {
  Scene scene(GetParam());
  const auto source = rollouts({.batch_size = 6});
  loss_of(*scene.objective, *source).backward();
  for (uint64_t direction = 0; direction < 4; ++direction) {
    double slope = 0;
    std::vector<Tensor> along;
    for (const Parameter& p : scene.parameters()) {
      along.push_back(normal(p.value.sizes(), 100 * direction + along.size()));
      slope += (along.back() * p.value.grad()).sum().item<double>();
    }
    const auto at = [&](double step) {
      const c10::NoGradGuard frozen;
      for (size_t i = 0; i < along.size(); ++i) Tensor(scene.parameters()[i].value).add_(along[i], step);
      const double loss = loss_of(*scene.objective, *source).item<double>();
      for (size_t i = 0; i < along.size(); ++i) Tensor(scene.parameters()[i].value).sub_(along[i], step);
      return loss;
    };
    const double h = 1e-7;
    EXPECT_NEAR(slope, (at(h) - at(-h)) / (2 * h), 1e-6 * std::max(1.0, std::abs(slope))) << direction;
  }
}

TEST_P(PpoGradient, OfEachElementOfHeadAndNormIsTheFiniteDifference) {
  Scene scene(GetParam());
  const auto source = rollouts({.batch_size = 6});
  loss_of(*scene.objective, *source).backward();
  for (const Parameter& p : scene.parameters()) {
    if (p.value.numel() > 16) continue;
    const Tensor found =
        testing::finite_differences([&] { return loss_of(*scene.objective, *source); }, p.value.detach());
    EXPECT_LT((p.value.grad() - found).abs().max().item<double>(), 1e-7) << p.name;
  }
}

TEST_P(PpoGradient, IsTheSameForAnyCutAnyOrderAndSharingOrNot) {
  const auto gradient = [&](const RecordOrder& order, bool backwards) {
    Scene scene(GetParam());
    const auto source = rollouts(order);
    loss_of(*scene.objective, *source, backwards).backward();
    std::vector<Tensor> gradients;
    for (const Parameter& p : scene.parameters()) gradients.push_back(p.value.grad().clone());
    return gradients;
  };
  const auto whole = gradient({.batch_size = 6, .share_prefixes = false}, false);
  for (const bool share : {false, true}) {
    for (const int64_t tokens : {1, 40}) {
      const auto cut = gradient({.batch_size = 6, .share_prefixes = share, .tokens_per_slot = tokens}, share);
      for (size_t i = 0; i < whole.size(); ++i)
        EXPECT_LT((cut[i] - whole[i]).abs().max().item<double>(), 1e-10) << i;
    }
  }
}

TEST(PpoObjective, TheLossIsTheSumOfItsTermsATokenByHand) {
  Scene scene(false);
  const auto source = rollouts({.batch_size = 6});
  const Batch batch = source->batch(1, source->plan(1).slots.at(0));
  const c10::NoGradGuard frozen;
  const Tensor rows = scene.policy->hidden(batch).index_select(0, batch.row);
  const Tensor logits = times_transposed(rows, scene.policy->head()) / 0.7, all = at::log_softmax(logits, 1);
  const Tensor values = scene.value->values(batch, {});
  double loss = 0;
  for (int64_t m = 0; m < batch.scored(); ++m) {
    const auto column = [&](const char* name) { return batch.column(name)[m].item<double>(); };
    const double logp = all[m][batch.label[m].item<int64_t>()].item<double>();
    const double ratio = std::exp(logp - column("old_logp")), a = column("advantage");
    const double v = values[m].item<double>(), old = column("value"), r = column("returns");
    const double near = std::min(std::max(v, old - 0.2), old + 0.2);
    const double entropy = -(all[m].exp() * all[m]).sum().item<double>();
    loss += -std::min(ratio * a, std::min(std::max(ratio, 0.8), 1.2) * a) +
            0.3 * 0.5 * std::max((v - r) * (v - r), (near - r) * (near - r)) - 0.05 * entropy;
  }
  EXPECT_NEAR(loss_of(*scene.objective, *source).item<double>(), loss / static_cast<double>(batch.scored()),
              1e-12);
}

TEST(PpoObjective, OffersItsIdentitiesUntilAStepOfTheIterationPasses) {
  Scene scene(false);
  scene.iteration.index = 0;
  scene.iteration.gap_of_tokens = 0.25;
  const auto source = rollouts({.batch_size = 6});
  Alone team;
  const auto identities = [&] {
    const Plan plan = source->plan(1);
    const auto prepared = scene.objective->prepare(plan, *source, team);
    return (*scene.objective)(source->batch(1, plan.slots.at(0)), prepared).identities;
  };
  for (scene.iteration.index = 0; scene.iteration.index < 2; ++scene.iteration.index) {
    const std::vector<Identity> offered = identities();
    ASSERT_EQ(offered.size(), 2u);
    EXPECT_TRUE(offered[0].every_iteration);
    EXPECT_GT(offered[0].measured, 0.1);  // the numbers of the columns are made up
    EXPECT_FALSE(offered[1].every_iteration);
    EXPECT_EQ(offered[1].measured, 0.25);
    scene.objective->passed(1);
    EXPECT_TRUE(identities().empty());
  }
}

TEST(PpoObjective, TheControllerMovesOnceAnIterationAndIsSaved) {
  Scene scene(false);
  scene.iteration = {.index = 0, .steps = 2, .metrics = {}, .kl = 9, .episodes = 100};
  scene.objective->passed(1);
  const double moved = 0.1 * (1 + 0.2 * 100 / 1000);
  EXPECT_DOUBLE_EQ(scene.controller.coefficient(), moved);
  scene.objective->passed(2);
  EXPECT_DOUBLE_EQ(scene.controller.coefficient(), moved);
  EXPECT_EQ(scene.objective->state().at("kl_coef").item<double>(), scene.controller.coefficient());
}

TEST(PpoObjective, GroupsHaveTheirOwnRates) {
  const Scene scene(true);
  const auto groups = scene.objective->parameters();
  ASSERT_EQ(groups.size(), 2u);
  EXPECT_EQ(groups[0].learning_rate_scale, 1);
  EXPECT_EQ(groups[1].learning_rate_scale, 3);
  EXPECT_EQ(groups[1].parameters.size(), 1u);
}

}  // namespace
}  // namespace prefer
