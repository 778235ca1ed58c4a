// A transformer whose head says one number of a hidden state: reward models, read at the end of a text, and
// value models, read at every token.
#pragma once

#include "prefer/model/transformer.hpp"
#include "prefer/text/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>

namespace prefer {

class RewardModel {
 public:
  /// Throws Error unless the transformer has a score head (ModelConfig::score_head).
  explicit RewardModel(std::shared_ptr<Transformer> transformer);

  /// score.weight . h of each row that the batch reads (Batch::reads), with gradient. [P] float, double of
  /// double models. On the CPU a score does not depend on what else the batch holds.
  Tensor scores(const Batch& batch) const;
  /// The token at whose hidden state a text is read: the last that is not config().pad, or the last of all
  /// where there is no pad. It is transformers' rule, by which the two agree on padded batches too; where the
  /// pad token is also an end token, a text is read at what stands before its end, and its score does not
  /// tell whether it ended. New heads are given another pad token (padding_token).
  int64_t end_of(std::span<const int32_t> tokens) const;

  /// What is trained: the weights that require gradient, the head last (Transformer::train).
  Parameters parameters() const { return transformer_->parameters(); }
  Transformer& transformer() { return *transformer_; }
  const Transformer& transformer() const { return *transformer_; }
  const ModelConfig& config() const { return transformer_->config(); }
  /// As it is now, for scores without gradient (Transformer::frozen).
  std::shared_ptr<RewardModel> frozen() const;

 private:
  std::shared_ptr<Transformer> transformer_;
};

/// How a score head begins on a model that has none.
struct NewHead {
  uint64_t seed = 0;
  std::optional<int64_t> pad = {};  ///< see padding_token; none: the model's, or else its first end token
};

/// What a new reward model pads with, so that it reads a text and the same text with its end at tokens of
/// their own: a token that ends no text. The tokenizer's pad token or the model's, or else its unknown token,
/// its first special token that the chat template does not write, or BOS. None where there is no such token.
std::optional<int64_t> padding_token(const Tokenizer& tokenizer, const ModelConfig& model);
/// Whether the model's pad token ends texts, so that a reward does not tell whether a text ended.
bool pads_with_an_end(const Tokenizer& tokenizer, const ModelConfig& model);

/// The layers of `model`, shared, under a new head: normals of standard deviation 1 / sqrt(D + 1), keyed by
/// the seed (Stiennon et al. 2020, arXiv 2009.01325). An untied language head is left out.
std::shared_ptr<Transformer> with_score_head(const Transformer& model, const NewHead& head);

}  // namespace prefer
