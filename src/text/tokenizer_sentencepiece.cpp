// SentencePiece .model files: the one file that sees the sentencepiece library.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"
#include "tokenizer_unicode.hpp"

#include <sentencepiece_processor.h>

#include <algorithm>
#include <limits>
#include <utility>

namespace prefer::text {
namespace {

using sentencepiece::SentencePieceProcessor;
using Processor = std::shared_ptr<const SentencePieceProcessor>;

constexpr std::size_t kLongRun = 64;  // characters

/// A text some stretches of which were left out.
struct Shortened {
  struct Gap {
    std::size_t at, before;  // where in the text, and how many bytes are missing up to there
  };
  std::string text;
  std::vector<Gap> gaps;

  void leave_out(std::size_t size) {
    gaps.push_back({text.size(), size + (gaps.empty() ? 0 : gaps.back().before)});
  }
  /// Where byte `at` stands in the whole text; at a gap, behind it.
  std::uint32_t whole(std::uint32_t at) const {
    const auto gap = std::ranges::upper_bound(gaps, at, {}, &Gap::at);
    return gap == gaps.begin() ? at : at + static_cast<std::uint32_t>(gap[-1].before);
  }
};

/// Whether some character is white space, or one that the library's own normalisations make a space.
bool holds_space(std::string_view text) {
  static constexpr std::u32string_view kSpaces = U"\u200b\u200c\u200e\u200f\u2581\ufeff\ufffd";
  bool found = false;
  utf8::for_each(text, [&](char32_t code, std::string_view) {
    found |= unicode::is_space(code) || kSpaces.find(code) != kSpaces.npos;
  });
  return found;
}

class SentencePieceModel : public Model {
 public:
  /// `starting`: where `processor` puts no space in front, one that does; else null.
  SentencePieceModel(Processor processor, const Vocabulary& vocabulary, Processor starting = nullptr)
      : processor_(std::move(processor)),
        starting_(std::move(starting)),
        vocabulary_(vocabulary),
        bytes_(byte_tokens(vocabulary)) {}

  void encode(std::string_view piece, std::vector<PieceToken>& tokens) const override {
    const Shortened text = shortened(piece);
    std::vector<PieceToken> found = tokens_of(*processor_, text.text);
    // Some models drop white space in front. A text that goes on with some needs the space for it.
    const bool dropped = !found.empty() && holds_space(text.text.substr(0, found.front().begin));
    if (starting_ && dropped) found = tokens_of(*starting_, text.text);
    const bool forged = std::ranges::any_of(found, [&](const PieceToken& token) { return barred(token.id); });
    if (forged) return spell(piece, tokens);
    for (const PieceToken& token : found)
      tokens.push_back({token.id, text.whole(token.begin), text.whole(token.end)});
  }

 private:
  // Of the bytes that spell one character the library gives the last the character, the others nothing.
  static std::vector<PieceToken> tokens_of(const SentencePieceProcessor& processor, std::string_view text) {
    sentencepiece::ImmutableSentencePieceText pieces;
    const auto status = processor.Encode({text.data(), text.size()}, pieces.mutable_proto());
    if (!status.ok()) fail("sentencepiece: ", status.ToString());
    std::vector<PieceToken> tokens;
    tokens.reserve(pieces.pieces_size());
    for (std::size_t i = 0; i < pieces.pieces_size(); ++i) {
      const auto piece = pieces.pieces(static_cast<int>(i));
      tokens.push_back({static_cast<std::int32_t>(piece.id()), piece.begin(), piece.end()});
    }
    return tokens;
  }

  // The library makes one <unk> of unknown neighbours, and takes quadratic time for it. So of a long run of
  // one unknown character only a part is shown to it: the <unk> is the same.
  Shortened shortened(std::string_view piece) const {
    Shortened out;
    out.text.reserve(piece.size());
    for (std::size_t at = 0, end = 0; at < piece.size(); at = end) {
      const std::string_view character = piece.substr(at, utf8::first(piece.substr(at)).size);
      while (piece.substr(end).starts_with(character)) end += character.size();
      const std::size_t part = kLongRun * character.size();
      const bool unknown = end - at > part && is_unknown(piece.substr(at, part));
      out.text += piece.substr(at, unknown ? part : end - at);
      if (unknown) out.leave_out(end - at - part);
    }
    return out;
  }

  bool is_unknown(std::string_view run) const {
    const std::vector<PieceToken> tokens = tokens_of(*processor_, run);  // perhaps a space in front
    return !tokens.empty() && tokens.size() <= 2 && tokens.back().id == processor_->unk_id();
  }

  bool barred(int id) const { return id != processor_->unk_id() && vocabulary_.is_barred(id); }

  // The library can't be told to leave out a user-defined piece, so such text is spelt by characters.
  void spell(std::string_view piece, std::vector<PieceToken>& tokens) const {
    std::uint32_t end = 0;
    utf8::for_each(piece, [&](char32_t code, std::string_view bytes) {
      const std::uint32_t begin = end;
      end += static_cast<std::uint32_t>(bytes.size());
      const std::string text = code == ' ' ? "\u2581" : std::string(bytes);
      const int id = processor_->PieceToId(text);
      if (!barred(id) && id != processor_->unk_id()) return tokens.push_back({id, begin, end});
      const bool fallback =
          std::ranges::all_of(text, [&](char b) { return bytes_[static_cast<unsigned char>(b)] >= 0; });
      if (!fallback) return tokens.push_back({processor_->unk_id(), begin, end});
      for (const char byte : text) tokens.push_back({bytes_[static_cast<unsigned char>(byte)], begin, end});
    });
  }

  Processor processor_, starting_;
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
    if (processor.IsControl(id) || processor.IsUnknown(id)) {
      parts.add({.content = piece, .id = id, .special = true}, name);
    } else {
      parts.vocabulary.add(piece, id, name);
    }
  }
}

bool puts_space_in_front(const SentencePieceProcessor& processor) {
  const std::vector<std::string> pieces = processor.EncodeAsPieces("a");
  return !pieces.empty() && pieces.front().starts_with("\u2581");
}

/// How many spaces decoding takes off the front: all where encoding drops them, one where it puts one there.
std::size_t leading_spaces(const SentencePieceProcessor& processor) {
  if (processor.EncodeAsPieces("  a") == processor.EncodeAsPieces("a"))
    return std::numeric_limits<std::size_t>::max();
  return puts_space_in_front(processor) ? 1 : 0;
}

// What the library says of a model, by its status or by an exception of a part of it, becomes an Error.
Processor loaded(const std::string& bytes, const std::string& name) {
  auto processor = std::make_shared<SentencePieceProcessor>();
  std::string complaint;
  try {
    const auto status = processor->LoadFromSerializedProto(bytes);
    if (!status.ok()) complaint = status.message();
  } catch (const std::exception& exception) {
    complaint = exception.what();
  }
  if (!complaint.empty()) fail(name, ": not a sentencepiece model: ", utf8::one_line(complaint));
  return processor;
}

}  // namespace

PartsPtr read_sentencepiece(const std::string& bytes, const std::string& name) {
  check_sentencepiece(bytes, name);
  const Processor processor = loaded(bytes, name);
  auto parts = std::make_unique<TokenizerParts>();
  read_pieces(*processor, name, *parts);
  parts->decoders = sentencepiece_decoders(leading_spaces(*processor));
  parts->bos = named(processor->bos_id());
  parts->eos = named(processor->eos_id());
  parts->pad = named(processor->pad_id());
  parts->unk = named(processor->unk_id());
  parts->adds_bos = parts->bos.has_value();
  parts->model = std::make_unique<SentencePieceModel>(processor, parts->vocabulary);
  if (puts_space_in_front(*processor)) {
    const Processor without = loaded(without_space_in_front(bytes, name), name);
    parts->continuing = std::make_unique<SentencePieceModel>(without, parts->vocabulary, processor);
  }
  return parts;
}

}  // namespace prefer::text
