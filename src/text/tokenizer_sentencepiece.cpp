// SentencePiece .model files: the one file that sees the sentencepiece library.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace prefer::text {
namespace {

using sentencepiece::SentencePieceProcessor;

constexpr std::size_t kLongRun = 64;  // characters

class SentencePieceModel : public Model {
 public:
  SentencePieceModel(std::unique_ptr<SentencePieceProcessor> processor, const Vocabulary& vocabulary)
      : processor_(std::move(processor)), vocabulary_(vocabulary), bytes_(byte_tokens(vocabulary)) {}

  void encode(std::string_view piece, std::vector<std::int32_t>& ids) const override {
    const std::vector<int> out = ids_of(shortened(piece));
    const bool forged = std::ranges::any_of(out, [&](int id) { return special(id); });
    if (forged) return spell(piece, ids);
    ids.insert(ids.end(), out.begin(), out.end());
  }

 private:
  std::vector<int> ids_of(std::string_view text) const {
    std::vector<int> ids;
    const auto status = processor_->Encode({text.data(), text.size()}, &ids);
    if (!status.ok()) fail("sentencepiece: ", status.ToString());
    return ids;
  }

  // The library makes one <unk> of unknown neighbours, and takes quadratic time for it. So of a long run of
  // one unknown character only a part is shown to it: the <unk> is the same.
  std::string shortened(std::string_view piece) const {
    std::string out;
    out.reserve(piece.size());
    for (std::size_t at = 0, end = 0; at < piece.size(); at = end) {
      const std::string_view character = piece.substr(at, utf8::first(piece.substr(at)).size);
      while (piece.substr(end).starts_with(character)) end += character.size();
      const std::size_t part = kLongRun * character.size();
      const bool unknown = end - at > part && is_unknown(piece.substr(at, part));
      out += piece.substr(at, unknown ? part : end - at);
    }
    return out;
  }

  bool is_unknown(std::string_view run) const {
    const std::vector<int> ids = ids_of(run);  // perhaps a space in front
    return !ids.empty() && ids.size() <= 2 && ids.back() == processor_->unk_id();
  }

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

/// How many spaces decoding takes off the front: all where encoding drops them, one where it puts one there.
std::size_t leading_spaces(const SentencePieceProcessor& processor) {
  const std::vector<std::string> pieces = processor.EncodeAsPieces("a");
  if (processor.EncodeAsPieces("  a") == pieces) return std::numeric_limits<std::size_t>::max();
  return !pieces.empty() && pieces.front().starts_with("\u2581") ? 1 : 0;
}

// What the library says of a model, by its status or by an exception of a part of it, becomes an Error.
void load(SentencePieceProcessor& processor, const std::string& bytes, const std::string& name) {
  std::string complaint;
  try {
    const auto status = processor.LoadFromSerializedProto(bytes);
    if (!status.ok()) complaint = status.message();
  } catch (const std::exception& exception) {
    complaint = exception.what();
  }
  if (!complaint.empty()) fail(name, ": not a sentencepiece model: ", utf8::one_line(complaint));
}

}  // namespace

PartsPtr read_sentencepiece(const std::string& bytes, const std::string& name) {
  check_sentencepiece(bytes, name);
  auto processor = std::make_unique<SentencePieceProcessor>();
  load(*processor, bytes, name);
  auto parts = std::make_unique<TokenizerParts>();
  read_pieces(*processor, name, *parts);
  parts->decoders = sentencepiece_decoders(leading_spaces(*processor));
  parts->bos = named(processor->bos_id());
  parts->eos = named(processor->eos_id());
  parts->pad = named(processor->pad_id());
  parts->unk = named(processor->unk_id());
  parts->adds_bos = parts->bos.has_value();
  parts->model = std::make_unique<SentencePieceModel>(std::move(processor), parts->vocabulary);
  return parts;
}

}  // namespace prefer::text
