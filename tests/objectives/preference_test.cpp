// The preference objective on a tiny model: cuts, orders and sharing change nothing; references live or kept
// agree.
#include "prefer/objectives/preference.hpp"

#include "prefer/batch/record_source.hpp"
#include "prefer/core/error.hpp"
#include "prefer/losses/dpo.hpp"
#include "prefer/losses/simpo.hpp"
#include "prefer/objectives/reference_cache.hpp"
#include "support/error.hpp"
#include "support/invariance.hpp"
#include "support/memory_fs.hpp"
#include "support/pairs.hpp"
#include "support/step.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

#include <cmath>
#include <filesystem>

namespace prefer {
namespace {

using testing::error_of;
using testing::MemoryFs;
using testing::Outcome;
using testing::records;
using testing::tiny_model;

Outcome step(const RecordOrder& order, bool backwards) {
  auto policy = tiny_model(at::kDouble, testing::tiny_config(), 1);
  const auto reference = tiny_model(at::kDouble, testing::tiny_config(), 2);
  policy->train();
  RecordSource source(records(12), order);
  PreferenceObjective objective(policy, Dpo{.beta = 0.4, .label_smoothing = 0.1}, {reference, false});
  return testing::step(objective, source, {}, backwards);
}

TEST(PreferenceObjective, AnyCutAnyOrderAndSharingOrNotGiveOneLossAndGradient) {
  const Outcome whole = step({.batch_size = 12, .share_prefixes = false}, false);
  for (const bool backwards : {false, true}) {
    for (const bool share : {false, true}) {
      for (const int64_t tokens : {1, 40, 100000}) {
        const RecordOrder order{.batch_size = 12, .share_prefixes = share, .tokens_per_slot = tokens};
        expect_same(step(order, backwards), whole);
      }
    }
  }
}

TEST(PreferenceObjective, AtTheReferenceTheLossIsLnTwoAndTheIdentityHolds) {
  for (const at::ScalarType dtype : {at::kFloat, at::kBFloat16}) {
    const auto policy = tiny_model(dtype);
    PreferenceObjective objective(policy, Dpo{}, {tiny_model(dtype), true});
    RecordSource source(records(6), {.batch_size = 6});
    const Plan plan = source.plan(1);
    const Loss loss = objective(source.batch(1, plan.slots[0]), {});
    ASSERT_EQ(loss.identities.size(), 1u);
    EXPECT_EQ(loss.identities[0].measured, 0.0);
    EXPECT_DOUBLE_EQ(loss.divided_by(plan.total()).item<double>(), std::log(2.0));
    const auto values = loss.metrics.values();
    EXPECT_EQ(values.at("rewards/accuracies"), 0.5);
    EXPECT_EQ(values.at("rewards/margins"), 0.0);
  }
}

TEST(ReferenceCache, NoFlippedByteBecomesAnotherReference) {
  MemoryFs fs;
  const std::vector<ScoredColumn> columns = {{-1.5F, -0.25F}, {}, {-3.0F}};
  int computed = 0;
  const auto read = [&] {
    return cached_reference(fs, "reference", "key", [&] { return ++computed, columns; });
  };
  EXPECT_EQ(read(), columns);
  const std::string path = "reference/key.safetensors", good = read_file(fs, path, 1 << 20);
  int found = 0;
  for (std::size_t i = 0; i < good.size(); ++i) {
    std::string bad = good;
    bad[i] = static_cast<char>(bad[i] ^ (1 << (i % 8)));
    fs.put(path, bad);
    const std::string error =
        error_of([&] { EXPECT_EQ(read(), columns) << i; });  // what says nothing may change
    found += !error.empty();
    EXPECT_TRUE(error.empty() || error.starts_with(path + ":")) << error;
  }
  EXPECT_GT(found, static_cast<int>(good.size()) * 8 / 10);
  EXPECT_EQ(computed, 1);
  fs.remove(path);
  EXPECT_EQ(read(), columns);
  EXPECT_EQ(computed, 2);
}

TEST(PreferenceObjective, AKeptReferenceGivesTheBitsOfALiveOne) {
  PREFER_NEEDS_INVARIANCE(at::kFloat);
  const auto policy = tiny_model(at::kFloat, testing::tiny_config(), 1);
  const auto reference = tiny_model(at::kFloat, testing::tiny_config(), 2);
  const auto data = records(7);
  RecordSource source(data, {.batch_size = 7, .tokens_per_slot = 60, .seed = 4});
  const auto folder = std::filesystem::temp_directory_path() / "prefer_reference_cache_test";
  std::filesystem::remove_all(folder);
  PosixFs fs;
  int computed = 0;
  const std::string key = reference_key(*data, "reference", "float32");
  const auto compute = [&] {
    ++computed;
    return score_records(*reference, source, {});
  };
  const auto first = cached_reference(fs, folder, key, compute);
  EXPECT_EQ(cached_reference(fs, folder, key, compute), first);
  EXPECT_EQ(computed, 1);
  EXPECT_NE(key, reference_key(*data, "policy", "float32"));
  EXPECT_NE(key, reference_key(*records(6), "reference", "float32"));

  PreferenceObjective live(policy, Dpo{}, {reference, false});
  PreferenceObjective kept(policy, Dpo{}, {nullptr, false});
  EXPECT_THROW(kept(source.batch(1, source.plan(1).slots[0]), {}), Error);
  source.attach("reference", first);
  for (const Slot& slot : source.plan(1).slots) {
    const Batch batch = source.batch(1, slot);
    EXPECT_TRUE(at::equal(live.pairs(batch).rejected.reference, kept.pairs(batch).rejected.reference));
    EXPECT_TRUE(at::equal(live.pairs(batch).chosen.reference, kept.pairs(batch).chosen.reference));
  }
}

TEST(PreferenceObjective, AFrozenCopyScoresAsTheModelDidWhenItWasMade) {
  for (const bool tied : {true, false}) {
    ModelConfig config = testing::tiny_config();
    config.tied = tied;
    config.qkv_bias = config.query_key_norm = !tied;
    const auto policy = tiny_model(at::kFloat, config);
    RecordSource source(records(7), {.batch_size = 7});
    const auto before = score_records(*policy, source, {});
    const auto frozen = policy->frozen();
    for (const auto& [name, weight] : policy->weights()) Tensor(weight).mul_(1.5);
    EXPECT_NE(score_records(*policy, source, {}), before);
    EXPECT_EQ(score_records(*frozen, source, {}), before);
  }
}

// What they return for each pair is told by `sizes`.
struct Shaped {
  static constexpr const char* name = "shaped";
  std::vector<int64_t> sizes;
  bool detached = false;
  Tensor operator()(const Pairs& p) const {
    const Tensor each = (p.chosen.logp - p.rejected.logp).sum().expand(sizes);
    return detached ? each.detach() : each;
  }
};

struct CoupledScalar {
  static constexpr const char* name = "coupled_scalar";
  static constexpr bool coupled = true;
  Tensor operator()(const Pairs& p) const { return p.chosen.logp.sum(); }
};

TEST(PreferenceObjective, RefusesALossThatIsNotOneNumberAPairWithAGradient) {
  RecordSource source(records(4), {.batch_size = 4});
  const auto said = [&](Shaped loss) {
    const auto policy = tiny_model(at::kFloat);
    policy->train();
    PreferenceObjective objective(policy, loss, {policy->frozen()});
    return error_of([&] { objective(source.batch(1, source.plan(1).slots[0]), {}); });
  };
  EXPECT_EQ(said({{4}}), "");
  EXPECT_EQ(said({{}}), "the loss shaped gave [] for 4 pairs; [4] is wanted");
  EXPECT_EQ(said({{4, 1}}), "the loss shaped gave [4, 1] for 4 pairs; [4] is wanted");
  EXPECT_EQ(said({{4}, true}),
            "the loss shaped has no gradient: nothing in it follows from the policy's log-probs");
  PreferenceObjective coupled(tiny_model(at::kFloat), CoupledScalar{}, {tiny_model(at::kFloat)});
  Alone team;
  EXPECT_EQ(error_of([&] { coupled.prepare(source.plan(1), source, team); }),
            "the loss coupled_scalar gave [] for 4 pairs; [4] is wanted");
}

TEST(PreferenceObjective, RefusesThePolicyItselfAsReferenceAndKnobsAgainstTheirRules) {
  const auto policy = tiny_model(at::kFloat);
  policy->train();
  const auto said = [&](const PreferenceLoss& loss, std::shared_ptr<const Model> reference) {
    return error_of([&] { PreferenceObjective(policy, loss, {std::move(reference)}); });
  };
  const std::string own = "the reference has the policy's own weights, and would move with them; give a copy";
  EXPECT_EQ(said(Dpo{}, policy), own);
  EXPECT_EQ(said(Dpo{}, std::make_shared<Transformer>(policy->config(), policy->weights())), own);
  EXPECT_EQ(said(Dpo{}, policy->frozen()), "");
  EXPECT_EQ(said(Dpo{.beta = -1}, policy->frozen()), "config: beta: must be > 0, not -1.0");
  EXPECT_EQ(said(Dpo{.beta = INFINITY}, policy->frozen()), "config: beta: must be finite, not inf");
}

TEST(PreferenceObjective, ALossWithoutReferenceRunsNone) {
  RecordSource source(records(4), {.batch_size = 4});
  PreferenceObjective objective(tiny_model(at::kFloat), SimPo{}, {});
  EXPECT_TRUE(objective(source.batch(1, source.plan(1).slots[0]), {}).identities.empty());
}

}  // namespace
}  // namespace prefer
