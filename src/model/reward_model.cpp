// The score head: its product with hidden states, where a text is read, and how it begins.
#include "prefer/model/reward_model.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"
#include "prefer/ops/embedding.hpp"

#include <algorithm>
#include <cmath>
#include <numbers>

namespace prefer {
namespace {

constexpr const char* kHead = "score.weight";

/// Two uniforms make a normal (Box and Muller 1958).
double normal(uint64_t seed, int64_t element) {
  const auto draw = [&](uint64_t which) {
    const auto position = 2 * static_cast<uint64_t>(element) + which;
    return uniform({.seed = seed, .site = random_site::kWeights, .position = position});
  };
  return std::sqrt(-2 * std::log(draw(0))) * std::cos(2 * std::numbers::pi * draw(1));
}

bool is_end(int64_t id, const Tokenizer& tokenizer, const ModelConfig& model) {
  return id == tokenizer.eos() || std::ranges::find(model.eos, id) != model.eos.end();
}

}  // namespace

RewardModel::RewardModel(std::shared_ptr<Transformer> transformer) : transformer_(std::move(transformer)) {
  if (!config().score_head)
    fail("a reward model wants a transformer with a score head, not a language model");
}

Tensor RewardModel::scores(const Batch& batch) const {
  const Tensor rows = embed(transformer_->hidden(batch), batch.reads.row);  // [P, D]
  // In float: a bf16 product would make many scores one.
  const at::ScalarType wide = rows.scalar_type() == at::kDouble ? at::kDouble : at::kFloat;
  return (rows.to(wide) * transformer_->weights().at(kHead).to(wide)).sum(1);  // [P]
}

int64_t RewardModel::end_of(std::span<const int32_t> tokens) const {
  auto end = static_cast<int64_t>(tokens.size()) - 1;
  if (!config().pad) return end;
  while (end > 0 && tokens[static_cast<size_t>(end)] == *config().pad) --end;
  return end;
}

std::shared_ptr<RewardModel> RewardModel::frozen() const {
  return std::make_shared<RewardModel>(transformer_->frozen());
}

bool pads_with_an_end(const Tokenizer& tokenizer, const ModelConfig& model) {
  return model.pad && is_end(*model.pad, tokenizer, model);
}

std::optional<int64_t> padding_token(const Tokenizer& tokenizer, const ModelConfig& model) {
  const auto most = std::min<int64_t>(model.vocab_size, tokenizer.vocab_size());
  const auto apart = [&](std::optional<int64_t> id) {
    return id && *id >= 0 && *id < most && !is_end(*id, tokenizer, model);
  };
  const auto written = [&](int64_t id) {
    return tokenizer.chat_template().find(tokenizer.token(static_cast<int32_t>(id))) != std::string::npos;
  };
  if (apart(tokenizer.pad())) return tokenizer.pad();
  if (apart(model.pad)) return model.pad;
  if (apart(tokenizer.unk()) && !written(*tokenizer.unk())) return tokenizer.unk();
  for (int32_t id = 0; id < tokenizer.vocab_size(); ++id)
    if (tokenizer.is_special(id) && apart(id) && id != tokenizer.bos() && !written(id)) return id;
  return apart(tokenizer.bos()) ? std::optional<int64_t>(tokenizer.bos()) : std::nullopt;
}

std::shared_ptr<Transformer> with_score_head(const Transformer& model, const NewHead& head) {
  ModelConfig config = model.config();
  config.score_head = true;
  if (head.pad) config.pad = head.pad;
  if (!config.pad && !config.eos.empty()) config.pad = config.eos.front();
  std::vector<double> values(static_cast<size_t>(config.hidden_size));
  const double deviation = 1 / std::sqrt(static_cast<double>(config.hidden_size + 1));
  for (size_t i = 0; i < values.size(); ++i)
    values[i] = deviation * normal(head.seed, static_cast<int64_t>(i));
  NamedTensors weights = model.weights();
  weights.erase("lm_head.weight");
  weights[kHead] = tensor_of(values, model.dtype()).view({1, -1}).to(model.device());
  return std::make_shared<Transformer>(std::move(config), std::move(weights));
}

}  // namespace prefer
