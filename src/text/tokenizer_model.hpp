// From a piece of text to ids: the models of a tokenizer, each a kind of byte pair encoding.
#pragma once

#include "tokenizer_vocabulary.hpp"

#include <array>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prefer::text {

/// A token, and the bytes of the piece that it stands for: none where it was put in front, or where the next
/// one has them.
struct PieceToken {
  std::int32_t id = 0;
  std::uint32_t begin = 0, end = 0;
};

/// Immutable; encodes one piece of valid UTF-8 (after normalisation and pre-tokenisation) and appends its
/// tokens, in the order of their bytes. Never yields a special id, but for unk where the text holds what the
/// vocabulary can not spell, and for a special character of the vocabulary's own (Vocabulary::is_barred).
class Model {
 public:
  virtual ~Model() = default;
  virtual void encode(std::string_view piece, std::vector<PieceToken>& tokens) const = 0;
};

/// What BPE models do with characters that the vocabulary lacks.
struct Unknown {
  std::optional<std::int32_t> id;  ///< none: such characters vanish, as in Hugging Face tokenizers
  bool fuse = false;               ///< neighbours become one unknown token
  bool byte_fallback = false;      ///< their bytes become <0x00> ... <0xFF>
};

/// The ids of <0x00> ... <0xFF>, -1 where the vocabulary lacks one.
std::array<std::int32_t, 256> byte_tokens(const Vocabulary& vocabulary);

struct Merge {
  std::int32_t left = 0, right = 0, whole = 0;
};

/// BPE by ranked merges (Sennrich et al. 2016, arXiv 1508.07909): the earliest merge of the list first,
/// leftmost on ties. `ignore_merges`: a piece that is a token is that token at once. `vocabulary` must
/// outlive the model.
std::unique_ptr<Model> ranked_bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                                  Unknown unknown, bool ignore_merges);

/// BPE by scores, SentencePiece's (Kudo and Richardson 2018, arXiv 1808.06226): two neighbours merge where
/// their joined text is a token with a score, the highest first, leftmost on ties. `scores`: one a token;
/// NaN: the token is never made by merging. `vocabulary` must outlive the model.
std::unique_ptr<Model> scored_bpe(const Vocabulary& vocabulary, const std::vector<float>& scores,
                                  Unknown unknown);

}  // namespace prefer::text
