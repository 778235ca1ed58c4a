// SentencePiece .model files: the one file that sees the sentencepiece library.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <utility>

namespace prefer::text {
namespace {

using sentencepiece::SentencePieceProcessor;

class SentencePieceModel : public Model {
 public:
  SentencePieceModel(std::unique_ptr<SentencePieceProcessor> processor, const Vocabulary& vocabulary)
      : processor_(std::move(processor)), vocabulary_(vocabulary), bytes_(byte_tokens(vocabulary)) {}

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    std::vector<int> out;
    const auto status = processor_->Encode({piece.data(), piece.size()}, &out);
    if (!status.ok()) fail("sentencepiece: ", status.ToString());
    const bool forged = std::ranges::any_of(out, [&](int id) { return special(id); });
    if (forged) return spell(piece, ids);
    ids.insert(ids.end(), out.begin(), out.end());
  }

 private:
  bool special(int id) const { return id != processor_->unk_id() && vocabulary_.is_special(id); }

  // The library can't be told to leave out a user-defined piece, so such text is spelt by characters.
  void spell(std::string_view piece, std::vector<std::int32_t>& ids) const {
    utf8::for_each(piece, [&](char32_t code, std::string_view bytes) {
      const std::string text = code == ' ' ? "\u2581" : std::string(bytes);
      const int id = processor_->PieceToId(text);
      if (!special(id) && id != processor_->unk_id()) return ids.push_back(id);
      const bool fallback =
          std::ranges::all_of(text, [&](char b) { return bytes_[static_cast<unsigned char>(b)] >= 0; });
      if (!fallback) return ids.push_back(processor_->unk_id());
      for (const char byte : text) ids.push_back(bytes_[static_cast<unsigned char>(byte)]);
    });
  }

  std::unique_ptr<SentencePieceProcessor> processor_;
  const Vocabulary& vocabulary_;
  std::array<std::int32_t, 256> bytes_;
};

std::optional<std::int32_t> named(int id) { return id >= 0 ? std::optional<std::int32_t>(id) : std::nullopt; }

void read_pieces(const SentencePieceProcessor& processor, const std::string& name, TokenizerParts& parts) {
  const int size = processor.GetPieceSize();
  if (size > static_cast<int>(kMaxVocabulary))
    fail(name, ": ", size, " pieces; at most ", kMaxVocabulary, " are allowed");
  for (int id = 0; id < size; ++id) {
    const std::string& piece = processor.IdToPiece(id);
    if (!utf8::is_valid(piece)) fail(name, ": piece ", id, " is not UTF-8");
    parts.vocabulary.add(piece, id, name);
    if (processor.IsControl(id) || processor.IsUnknown(id))
      parts.add({.content = piece, .id = id, .special = true}, name);
  }
}

bool puts_space_first(const SentencePieceProcessor& processor) {
  std::vector<std::string> pieces;
  return processor.Encode("a", &pieces).ok() && !pieces.empty() && pieces.front().starts_with("\u2581");
}

}  // namespace

PartsPtr read_sentencepiece(const std::string& bytes, const std::string& name) {
  check_sentencepiece(bytes, name);
  auto processor = std::make_unique<SentencePieceProcessor>();
  const auto status = processor->LoadFromSerializedProto(bytes);
  if (!status.ok()) fail(name, ": not a sentencepiece model: ", status.ToString());
  auto parts = std::make_unique<TokenizerParts>();
  read_pieces(*processor, name, *parts);
  parts->decoders = sentencepiece_decoders(puts_space_first(*processor));
  parts->bos = named(processor->bos_id());
  parts->eos = named(processor->eos_id());
  parts->pad = named(processor->pad_id());
  parts->unk = named(processor->unk_id());
  parts->adds_bos = parts->bos.has_value();
  parts->model = std::make_unique<SentencePieceModel>(std::move(processor), parts->vocabulary);
  return parts;
}

}  // namespace prefer::text
