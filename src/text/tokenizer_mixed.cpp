// Encoding a text of which only some parts may spell special tokens, and finding the parts a token covers.
#include "prefer/core/error.hpp"
#include "prefer/text/tokenizer.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"

#include <algorithm>
#include <utility>

namespace prefer {
namespace {

using text::Segment;

/// The steps of `steps` that put nothing in front.
template <class Steps>
Steps without_prefix(const Steps& steps) {
  Steps kept;
  for (const auto& step : steps) {
    if constexpr (std::is_same_v<typename Steps::value_type, text::Rewrite>) {
      if (!std::holds_alternative<text::Prefix>(step)) kept.push_back(step);
    } else {
      const auto* rewrite = std::get_if<text::Rewrite>(&step);
      if (!rewrite || !std::holds_alternative<text::Prefix>(*rewrite)) kept.push_back(step);
    }
  }
  return kept;
}

class Mixed {
 public:
  Mixed(const TokenizerParts& tokenizer, std::string_view text, std::span<const TextPart> parts,
        bool continues)
      : tokenizer_(tokenizer),
        text_(text),
        parts_(parts),
        begins_(!continues),
        model_(continues && tokenizer.continuing ? tokenizer.continuing.get() : tokenizer.model.get()) {
    if (continues) {
      normalizers_ = without_prefix(tokenizer.normalizers);
      pre_tokenizers_ = without_prefix(tokenizer.pre_tokenizers);
    }
  }

  std::vector<PartToken> run() {
    const auto allowed = [&](std::size_t begin, std::size_t end) { return literal(begin, end); };
    for (const Segment& segment : tokenizer_.raw.split(text_, allowed)) {
      const auto begin = static_cast<std::size_t>(segment.text.data() - text_.data());
      if (segment.id >= 0) {
        tokens_.push_back({segment.id, part_at(begin), part_at(begin + segment.text.size() - 1)});
      } else {
        encode_raw(segment.text, begin);
      }
      begins_ = false;
      normalizers_.reset();
      end_of_continued();
    }
    return std::move(tokens_);
  }

 private:
  /// Only the first stretch goes on from another text.
  void end_of_continued() {
    pre_tokenizers_.reset();
    model_ = tokenizer_.model.get();
  }

  /// Parts that meet inside a stretch: where each ends, counted in the form the stretch has at this stage.
  struct Borders {
    std::uint32_t first = 0;  // the part that the stretch begins in
    text::Offsets ends;       // of all parts but the last
    std::uint32_t part_at(std::size_t offset) const {
      return first +
             static_cast<std::uint32_t>(std::upper_bound(ends.begin(), ends.end(), offset) - ends.begin());
    }
    /// Those inside the `size` bytes from `from` on.
    Borders inside(std::size_t from, std::size_t size) const {
      Borders inner{part_at(from), {}};
      for (auto end = std::ranges::upper_bound(ends, from); end != ends.end() && *end < from + size; ++end)
        inner.ends.push_back(*end - from);
      return inner;
    }
  };

  std::uint32_t part_at(std::size_t offset) const {
    const auto part = std::upper_bound(parts_.begin(), parts_.end(), offset,
                                       [](std::size_t at, const TextPart& p) { return at < p.end; });
    return static_cast<std::uint32_t>(part - parts_.begin());
  }

  bool literal(std::size_t begin, std::size_t end) const {
    return literal_parts(part_at(begin), part_at(end - 1));
  }
  bool literal_parts(std::uint32_t first, std::uint32_t last) const {
    return std::all_of(parts_.begin() + first, parts_.begin() + last + 1,
                       [](const TextPart& part) { return part.literal; });
  }

  const std::vector<text::Rewrite>& normalizers() const {
    return normalizers_ ? *normalizers_ : tokenizer_.normalizers;
  }
  const std::vector<text::PreStep>& pre_tokenizers() const {
    return pre_tokenizers_ ? *pre_tokenizers_ : tokenizer_.pre_tokenizers;
  }

  /// A stretch between added tokens of the raw text.
  void encode_raw(std::string_view stretch, std::size_t begin) {
    Borders borders{part_at(begin), {}};
    for (auto part = borders.first; parts_[part].end < begin + stretch.size(); ++part) {
      borders.ends.push_back(parts_[part].end - begin);
    }
    const std::string normal = text::normalised(normalizers(), stretch, begins_, borders.ends);
    const auto allowed = [&](std::size_t from, std::size_t to) {
      return literal_parts(borders.part_at(from), borders.part_at(to - 1));
    };
    bool begins = begins_;
    for (const Segment& segment : tokenizer_.normalized.split(normal, allowed)) {
      const auto from = static_cast<std::size_t>(segment.text.data() - normal.data());
      if (segment.id >= 0) {
        tokens_.push_back(
            {segment.id, borders.part_at(from), borders.part_at(from + segment.text.size() - 1)});
      } else {
        encode_normal(segment.text, borders.inside(from, segment.text.size()), begins);
      }
      begins = false;
      end_of_continued();
    }
  }

  /// A stretch between added tokens of the normalised text.
  void encode_normal(std::string_view stretch, Borders borders, bool begins) {
    const text::Pieces pieces = text::pre_tokenized(pre_tokenizers(), stretch, begins, borders.ends);
    std::size_t at = 0;
    std::vector<text::PieceToken> tokens;
    pieces.for_each([&](std::string_view piece) {
      tokens.clear();
      model_->encode(piece, tokens);
      for (const text::PieceToken& token : tokens) {
        // One that stands for no byte belongs to what follows it.
        const std::size_t last = std::max(token.begin + 1, token.end) - 1;
        tokens_.push_back({token.id, borders.part_at(at + token.begin), borders.part_at(at + last)});
      }
      at += piece.size();
    });
  }

  const TokenizerParts& tokenizer_;
  std::string_view text_;
  std::span<const TextPart> parts_;
  bool begins_;
  const text::Model* model_;
  std::optional<std::vector<text::Rewrite>> normalizers_;
  std::optional<std::vector<text::PreStep>> pre_tokenizers_;
  std::vector<PartToken> tokens_;
};

}  // namespace

std::vector<PartToken> Tokenizer::encode(std::string_view text, std::span<const TextPart> parts,
                                         bool continues) const {
  if (text.empty()) return {};
  if (parts.empty() || parts.back().end != text.size()) {
    fail("parts up to byte ", parts.empty() ? 0 : parts.back().end, " of a text of ", text.size(), " bytes");
  }
  if (!utf8::is_valid(text)) fail("a text in parts must be UTF-8");
  return Mixed(*parts_, text, parts, continues).run();
}

}  // namespace prefer
