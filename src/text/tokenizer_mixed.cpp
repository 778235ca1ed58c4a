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
      : tokenizer_(tokenizer), text_(text), parts_(parts), begins_(!continues) {
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
    }
    return std::move(tokens_);
  }

 private:
  /// Parts that meet inside a stretch: where each ends, counted in the form the stretch has at this stage.
  struct Borders {
    std::uint32_t first = 0;        // the part that the stretch begins in
    std::vector<std::size_t> ends;  // of all parts but the last
    std::uint32_t part_at(std::size_t offset) const {
      return first +
             static_cast<std::uint32_t>(std::upper_bound(ends.begin(), ends.end(), offset) - ends.begin());
    }
  };

  std::uint32_t part_at(std::size_t offset) const {
    const auto part = std::upper_bound(parts_.begin(), parts_.end(), offset,
                                       [](std::size_t at, const TextPart& p) { return at < p.end; });
    return static_cast<std::uint32_t>(part - parts_.begin());
  }

  bool literal(std::size_t begin, std::size_t end) const {
    const auto last = part_at(end - 1);
    for (auto part = part_at(begin); part <= last; ++part) {
      if (!parts_[part].literal) return false;
    }
    return true;
  }

  std::string normalised(std::string_view text) const {
    return text::normalised(normalizers(), text, begins_);
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
      borders.ends.push_back(normalised(stretch.substr(0, parts_[part].end - begin)).size());
    }
    const std::string normal = normalised(stretch);
    const bool specials = literal(begin, begin + stretch.size());
    bool begins = begins_;
    for (const Segment& segment : tokenizer_.normalized.split(normal, specials_if(specials))) {
      const auto from = static_cast<std::size_t>(segment.text.data() - normal.data());
      if (segment.id >= 0) {
        tokens_.push_back(
            {segment.id, borders.part_at(from), borders.part_at(from + segment.text.size() - 1)});
      } else {
        encode_normal(segment.text, from, borders, begins);
      }
      begins = false;
    }
  }

  /// A stretch between added tokens of the normalised text.
  void encode_normal(std::string_view stretch, std::size_t from, const Borders& outer, bool begins) {
    Borders borders{outer.part_at(from), {}};
    for (const std::size_t end : outer.ends) {
      if (end <= from || end >= from + stretch.size()) continue;
      borders.ends.push_back(
          text::pre_tokenized(pre_tokenizers(), stretch.substr(0, end - from), begins).text.size());
    }
    std::size_t at = 0;
    std::vector<std::int32_t> ids;
    text::pre_tokenized(pre_tokenizers(), stretch, begins).for_each([&](std::string_view piece) {
      ids.clear();
      tokenizer_.model->encode(piece, ids);
      std::size_t inside = 0;
      for (std::size_t i = 0; i < ids.size(); ++i) {
        const std::size_t rest = piece.size() - inside;
        const std::size_t covered =
            i + 1 == ids.size() ? rest : std::min(rest, length(ids[i], piece.substr(inside)));
        const std::size_t last = at + inside + (covered == 0 ? 0 : covered - 1);
        tokens_.push_back({ids[i], borders.part_at(at + inside), borders.part_at(last)});
        inside += covered;
      }
      at += piece.size();
    });
  }

  /// Bytes of `rest` that the token stands for: its own text, one byte of <0x41>, or a character it does not
  /// know.
  std::size_t length(std::int32_t id, std::string_view rest) const {
    const std::string& token = tokenizer_.vocabulary.token(id);
    if (rest.starts_with(token)) return token.size();
    if (token.size() == 6 && token.starts_with("<0x")) return 1;
    return rest.empty() ? 0 : utf8::first(rest).size;
  }

  const TokenizerParts& tokenizer_;
  std::string_view text_;
  std::span<const TextPart> parts_;
  bool begins_;
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
