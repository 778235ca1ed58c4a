// Sharing, packing and recomputing change neither losses nor gradients, and on the CPU not a single bit of a
// forward.
#include "prefer/core/error.hpp"
#include "prefer/ops/gemm.hpp"
#include "support/family.hpp"
#include "support/finite_differences.hpp"
#include "support/invariance.hpp"
#include "support/tiny_model.hpp"

#include <gtest/gtest.h>

namespace prefer {
namespace {

using testing::batch_of;
using testing::every_option;
using testing::family;
using testing::loss_of;
using testing::score;
using testing::tiny_config;
using testing::tiny_model;

NamedTensors gradients(Transformer& model, const Batch& batch) {
  model.train();
  for (const Parameter& p : model.parameters()) p.value.mutable_grad() = Tensor();
  loss_of(model, batch).backward();
  NamedTensors result;
  for (const Parameter& p : model.parameters()) result[p.name] = p.value.grad();
  return result;
}

double largest_gap(const NamedTensors& a, const NamedTensors& b) {
  double gap = 0;
  for (const auto& [name, value] : a) gap = std::max(gap, (value - b.at(name)).abs().max().item<double>());
  return gap;
}

TEST(Forest, SharedPrefixesGiveTheLossAndGradientOfUnsharedOnes) {
  for (const ModelConfig& config : {tiny_config(), every_option()}) {
    const auto model = tiny_model(at::kDouble, config);
    const Batch shared = batch_of(family(), Sharing::on);
    const Batch apart = batch_of(family());
    ASSERT_LT(shared.tokens.size(0), apart.tokens.size(0));
    EXPECT_NEAR(loss_of(*model, shared).item<double>(), loss_of(*model, apart).item<double>(), 1e-10);
    EXPECT_LE(largest_gap(gradients(*model, shared), gradients(*model, apart)), 1e-10);
  }
}

TEST(Forest, GradientIsThatOfFiniteDifferences) {
  for (const ModelConfig& config : {tiny_config(), every_option()}) {
    const auto model = tiny_model(at::kDouble, config);
    const Batch batch = batch_of(family(), Sharing::on);
    const NamedTensors found = gradients(*model, batch);
    for (const char* part : {"input_layernorm.weight", "self_attn.k_proj.weight", "mlp.up_proj.weight"}) {
      const std::string name = std::string("model.layers.0.") + part;
      const Tensor numeric = testing::finite_differences([&] { return loss_of(*model, batch); },
                                                         model->weights().at(name).detach());
      EXPECT_LE((found.at(name) - numeric).abs().max().item<double>(),
                1e-7 * numeric.abs().max().item<double>())
          << name;
    }
  }
}

TEST(Forest, RecomputedActivationsGiveTheSameGradient) {
  const auto model = tiny_model(at::kFloat, every_option());
  const Batch batch = batch_of(family(), Sharing::on);
  const NamedTensors kept = gradients(*model, batch);
  model->checkpoint_activations(true);
  const NamedTensors again = gradients(*model, batch);
  for (const auto& [name, value] : kept) EXPECT_TRUE(at::equal(value, again.at(name))) << name;
}

class Bits : public ::testing::TestWithParam<at::ScalarType> {};

TEST_P(Bits, OfASequenceAreTheSameAloneInAPairAndPacked) {
  PREFER_NEEDS_INVARIANCE(GetParam());
  ModelConfig config = tiny_config();
  config.hidden_size = 96, config.heads = 6, config.kv_heads = 2, config.head_dim = 16, config.rope.dim = 16;
  config.intermediate_size = 160;
  config.vocab_size = 301;
  const auto model = tiny_model(GetParam(), config);
  const auto scores = [&](const std::vector<Sequence>& sequences, Sharing sharing) {
    return score(*model, batch_of(sequences, sharing));
  };
  const std::vector<Sequence> all = family();
  const Tensor packed = scores(all, Sharing::off);
  EXPECT_TRUE(at::equal(scores(all, Sharing::on), packed));
  int64_t begin = 0;
  for (const Sequence& one : all) {
    const Tensor alone = scores({one}, Sharing::off);
    EXPECT_TRUE(at::equal(alone, packed.narrow(0, begin, alone.size(0))));
    begin += alone.size(0);
  }
}

TEST_P(Bits, OfADecodedTokenAreThoseOfAScoredOne) {
  PREFER_NEEDS_INVARIANCE(GetParam());
  const auto model = tiny_model(GetParam());
  const Sequence one = family().back();
  const int64_t length = static_cast<int64_t>(one.tokens.size());
  const Tensor whole = model->hidden(batch_of({one}));
  KeyValueCache cache = model->make_cache(2 * length);
  const auto step = [&](int64_t first, int64_t count) {
    Placement placement{at::arange(first, first + count, at::kLong), first + count, {}};
    placement.runs.add(0, count, first, std::vector<kernels::attention::Span>{{length, first + count}});
    const std::vector<int32_t> part(one.tokens.begin() + first, one.tokens.begin() + first + count);
    return model->decode(tensor_of(part, at::kLong), placement, placement.positions + length, cache);
  };
  EXPECT_TRUE(at::equal(step(0, 3), whole.narrow(0, 0, 3)));
  for (int64_t i = 3; i < length; ++i) EXPECT_TRUE(at::equal(step(i, 1), whole.narrow(0, i, 1))) << i;
}

INSTANTIATE_TEST_SUITE_P(Types, Bits, ::testing::Values(at::kFloat, at::kBFloat16),
                         [](const auto& type) { return type.param == at::kFloat ? "float32" : "bfloat16"; });

TEST(Forest, ASegmentBeforeItsParentIsRefused) {
  EXPECT_THROW(place_forest({{0, 2, 1, 2}, {2, 2, -1, 0}}, at::arange(4, at::kLong)), Error);
  EXPECT_THROW(place_forest({{0, 5, -1, 0}}, at::arange(4, at::kLong)), Error);
}

TEST(TransformerErrors, NameTheWeight) {
  NamedTensors weights = testing::random_weights(tiny_config(), 1, at::kFloat);
  weights["model.norm.weight"] = at::ones({15}, at::kFloat);
  try {
    Transformer(tiny_config(), weights);
    FAIL() << "no error";
  } catch (const Error& error) {
    EXPECT_STREQ(error.what(), "weight model.norm.weight is [15], and the config says [16]");
  }
}

}  // namespace
}  // namespace prefer
