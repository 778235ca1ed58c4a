// Byte pair encoding with a heap: O(n log n) in the length of a piece.
#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_model.hpp"

#include <algorithm>
#include <cmath>
#include <limits>
#include <queue>
#include <utility>

namespace prefer::text {
namespace {

constexpr std::int32_t kNone = -1;

// A symbol is a stretch of the piece, empty once its left neighbour has taken it in.
struct Symbol {
  std::int32_t begin, end, id, previous, next;
  bool gone() const { return begin == end; }
  std::string_view of(std::string_view piece) const {
    return piece.substr(static_cast<std::size_t>(begin), static_cast<std::size_t>(end - begin));
  }
  PieceToken token() const {
    return {id, static_cast<std::uint32_t>(begin), static_cast<std::uint32_t>(end)};
  }
};

struct Candidate {
  std::int32_t rank, left, size, id;
  // std::priority_queue keeps the greatest on top: the lowest rank, then the leftmost, counts as greatest.
  bool operator<(const Candidate& other) const {
    return rank != other.rank ? rank > other.rank : left > other.left;
  }
};

struct Merged {
  std::int32_t rank, id;
};

// Merges neighbours of `symbols` for as long as lookup(left, right) names something to merge them into.
template <class Lookup>
void merge_all(std::vector<Symbol>& symbols, const Lookup& lookup) {
  std::vector<Candidate> first;
  const auto consider = [&](std::int32_t left, auto&& push) {
    const Symbol& a = symbols[static_cast<std::size_t>(left)];
    if (a.next == kNone) return;
    const Symbol& b = symbols[static_cast<std::size_t>(a.next)];
    if (const std::optional<Merged> merged = lookup(a, b))
      push({merged->rank, left, b.end - a.begin, merged->id});
  };
  for (std::size_t i = 0; i + 1 < symbols.size(); ++i)
    consider(static_cast<std::int32_t>(i), [&](const Candidate& c) { first.push_back(c); });
  std::priority_queue<Candidate> queue(std::less<Candidate>(), std::move(first));
  const auto push = [&](const Candidate& c) { queue.push(c); };
  while (!queue.empty()) {
    const Candidate top = queue.top();
    queue.pop();
    Symbol& a = symbols[static_cast<std::size_t>(top.left)];
    if (a.gone() || a.next == kNone) continue;
    Symbol& b = symbols[static_cast<std::size_t>(a.next)];
    // Symbols only grow, so the same total means the same two.
    if (b.end - a.begin != top.size) continue;
    a.end = b.end;
    a.id = top.id;
    b.end = b.begin;
    a.next = b.next;
    if (a.next != kNone) symbols[static_cast<std::size_t>(a.next)].previous = top.left;
    if (a.previous != kNone) consider(a.previous, push);
    consider(top.left, push);
  }
}

void append_symbol(std::vector<Symbol>& symbols, std::size_t begin, std::size_t size, std::int32_t id) {
  const auto index = static_cast<std::int32_t>(symbols.size());
  if (index > 0) symbols.back().next = index;
  symbols.push_back(
      {static_cast<std::int32_t>(begin), static_cast<std::int32_t>(begin + size), id, index - 1, kNone});
}

// (left, right) -> (rank, whole): open addressing, since merging asks it twice a symbol.
class MergeTable {
 public:
  explicit MergeTable(const std::vector<Merge>& merges) {
    std::size_t size = 16;
    while (size < 2 * merges.size()) size *= 2;
    slots_.resize(size);
    for (std::size_t rank = 0; rank < merges.size(); ++rank) {
      Slot& slot = slots_[index_of(key(merges[rank].left, merges[rank].right))];
      slot = {key(merges[rank].left, merges[rank].right), static_cast<std::int32_t>(rank),
              merges[rank].whole};
    }
  }
  std::optional<Merged> find(std::int32_t left, std::int32_t right) const {
    const Slot& slot = slots_[index_of(key(left, right))];
    return slot.key == kEmpty ? std::nullopt : std::optional(Merged{slot.rank, slot.whole});
  }

 private:
  static constexpr std::uint64_t kEmpty = ~std::uint64_t{0};
  struct Slot {
    std::uint64_t key = kEmpty;
    std::int32_t rank = 0, whole = 0;
  };
  static std::uint64_t key(std::int32_t left, std::int32_t right) {
    return std::uint64_t{static_cast<std::uint32_t>(left)} << 32 | static_cast<std::uint32_t>(right);
  }
  std::size_t index_of(std::uint64_t wanted) const {
    std::size_t i = (wanted * 0x9E3779B97F4A7C15u >> 20) & (slots_.size() - 1);
    while (slots_[i].key != wanted && slots_[i].key != kEmpty) i = (i + 1) & (slots_.size() - 1);
    return i;
  }
  std::vector<Slot> slots_;
};

class RankedBpe : public Model {
 public:
  RankedBpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges, Unknown unknown,
            bool ignore_merges)
      : vocabulary_(vocabulary),
        merges_(merges),
        unknown_(unknown),
        bytes_(byte_tokens(vocabulary)),
        ignore_merges_(ignore_merges) {
    for (char32_t code = 0; code < common_.size(); ++code) {
      std::string text;
      utf8::append(text, code);
      common_[code] = vocabulary.find(text).value_or(kNone);
    }
  }

  void encode(std::string_view piece, std::vector<PieceToken>& tokens) const override {
    if (ignore_merges_) {
      const auto whole = vocabulary_.find(piece);
      if (whole && !vocabulary_.is_barred(*whole))
        return tokens.push_back({*whole, 0, static_cast<std::uint32_t>(piece.size())});
    }
    std::vector<Symbol> symbols = spell(piece);
    merge_all(symbols, [&](const Symbol& a, const Symbol& b) -> std::optional<Merged> {
      const auto merged = merges_.find(a.id, b.id);
      return merged && !vocabulary_.is_barred(merged->id) ? merged : std::nullopt;
    });
    for (const Symbol& symbol : symbols)
      if (!symbol.gone()) tokens.push_back(symbol.token());
  }

 private:
  std::int32_t character(char32_t code, std::string_view bytes) const {
    const std::int32_t id = code < common_.size() ? common_[code] : vocabulary_.find(bytes).value_or(kNone);
    return id == kNone || vocabulary_.is_barred(id) ? kNone : id;
  }

  std::vector<Symbol> spell(std::string_view piece) const {
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    std::size_t begin = 0;
    bool after_unknown = false;
    utf8::for_each(piece, [&](char32_t code, std::string_view bytes) {
      if (const std::int32_t id = character(code, bytes); id != kNone) {
        append_symbol(symbols, begin, bytes.size(), id);
        after_unknown = false;
      } else if (unknown_.byte_fallback && has_bytes(bytes)) {
        for (std::size_t i = 0; i < bytes.size(); ++i)
          append_symbol(symbols, begin + i, 1, bytes_[static_cast<unsigned char>(bytes[i])]);
        after_unknown = false;
      } else if (unknown_.id && !(after_unknown && unknown_.fuse)) {
        append_symbol(symbols, begin, bytes.size(), *unknown_.id);
        after_unknown = true;
      } else if (unknown_.id) {
        symbols.back().end += static_cast<std::int32_t>(bytes.size());
      }
      begin += bytes.size();
    });
    return symbols;
  }

  bool has_bytes(std::string_view bytes) const {
    return std::ranges::all_of(bytes, [&](char b) { return bytes_[static_cast<unsigned char>(b)] != kNone; });
  }

  const Vocabulary& vocabulary_;
  MergeTable merges_;
  Unknown unknown_;
  std::array<std::int32_t, 256> bytes_;
  std::array<std::int32_t, 0x180> common_;  // the letters of byte-level BPE, and Latin
  bool ignore_merges_;
};

// Equal scores get equal ranks, so that the leftmost goes first.
std::vector<std::int32_t> ranks_of(const std::vector<float>& scores) {
  std::vector<float> order;
  for (const float score : scores)
    if (!std::isnan(score)) order.push_back(score);
  std::ranges::sort(order, std::greater<>());
  order.erase(std::unique(order.begin(), order.end()), order.end());
  std::vector<std::int32_t> ranks(scores.size(), kNone);
  for (std::size_t id = 0; id < scores.size(); ++id)
    if (!std::isnan(scores[id]))
      ranks[id] = static_cast<std::int32_t>(std::ranges::lower_bound(order, scores[id], std::greater<>()) -
                                            order.begin());
  return ranks;
}

class ScoredBpe : public Model {
 public:
  ScoredBpe(const Vocabulary& vocabulary, const std::vector<float>& scores, Unknown unknown)
      : vocabulary_(vocabulary),
        ranks_(ranks_of(scores)),
        unknown_(unknown),
        bytes_(byte_tokens(vocabulary)) {
    for (std::size_t id = 0; id < ranks_.size(); ++id)
      if (ranks_[id] != kNone)
        longest_ = std::max(longest_, vocabulary.token(static_cast<std::int32_t>(id)).size());
  }

  void encode(std::string_view piece, std::vector<PieceToken>& tokens) const override {
    std::vector<Symbol> symbols;
    symbols.reserve(piece.size());
    std::size_t begin = 0;
    utf8::for_each(piece, [&](char32_t, std::string_view bytes) {
      append_symbol(symbols, begin, bytes.size(), usable(bytes).value_or(Merged{0, kNone}).id);
      begin += bytes.size();
    });
    merge_all(symbols, [&](const Symbol& a, const Symbol& b) -> std::optional<Merged> {
      const auto size = static_cast<std::size_t>(b.end - a.begin);
      if (size > longest_) return std::nullopt;
      return usable(piece.substr(static_cast<std::size_t>(a.begin), size));
    });
    emit(piece, symbols, tokens);
  }

 private:
  std::optional<Merged> usable(std::string_view text) const {
    const auto id = vocabulary_.find(text);
    if (!id || static_cast<std::size_t>(*id) >= ranks_.size() || vocabulary_.is_barred(*id))
      return std::nullopt;
    const std::int32_t rank = ranks_[static_cast<std::size_t>(*id)];
    return rank == kNone ? std::nullopt : std::optional(Merged{rank, *id});
  }

  void emit(std::string_view piece, const std::vector<Symbol>& symbols,
            std::vector<PieceToken>& tokens) const {
    bool after_unknown = false;
    for (const Symbol& symbol : symbols) {
      if (symbol.gone()) continue;
      const std::string_view text = symbol.of(piece);
      PieceToken token = symbol.token();
      const bool bytes = unknown_.byte_fallback && std::ranges::all_of(text, [&](char b) {
                           return bytes_[static_cast<unsigned char>(b)] != kNone;
                         });
      const bool unknown = symbol.id == kNone && !bytes;
      if (symbol.id != kNone) {
        tokens.push_back(token);
      } else if (bytes) {
        for (const char byte : text) {
          tokens.push_back({bytes_[static_cast<unsigned char>(byte)], token.begin, token.begin + 1});
          ++token.begin;
        }
      } else if (unknown_.id && !(after_unknown && unknown_.fuse)) {
        token.id = *unknown_.id;
        tokens.push_back(token);
      } else if (unknown_.id) {
        tokens.back().end = token.end;
      }
      after_unknown = unknown;
    }
  }

  const Vocabulary& vocabulary_;
  std::vector<std::int32_t> ranks_;
  Unknown unknown_;
  std::array<std::int32_t, 256> bytes_;
  std::size_t longest_ = 0;
};

}  // namespace

std::array<std::int32_t, 256> byte_tokens(const Vocabulary& vocabulary) {
  constexpr const char* kHex = "0123456789ABCDEF";
  std::array<std::int32_t, 256> ids;
  for (std::size_t byte = 0; byte < ids.size(); ++byte) {
    const std::string token{'<', '0', 'x', kHex[byte >> 4], kHex[byte & 15], '>'};
    ids[byte] = vocabulary.find(token).value_or(kNone);
  }
  return ids;
}

std::unique_ptr<Model> ranked_bpe(const Vocabulary& vocabulary, const std::vector<Merge>& merges,
                                  Unknown unknown, bool ignore_merges) {
  return std::make_unique<RankedBpe>(vocabulary, merges, unknown, ignore_merges);
}

std::unique_ptr<Model> scored_bpe(const Vocabulary& vocabulary, const std::vector<float>& scores,
                                  Unknown unknown) {
  return std::make_unique<ScoredBpe>(vocabulary, scores, unknown);
}

}  // namespace prefer::text
