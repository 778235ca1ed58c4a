// The trie of added tokens, and Hugging Face's rules of words and spaces around them.
#include "tokenizer_added.hpp"

#include "prefer/text/utf8.hpp"
#include "tokenizer_regex.hpp"
#include "tokenizer_unicode.hpp"

#include <algorithm>

namespace prefer::text {
namespace {

std::size_t start_of_last(std::string_view text) {
  std::size_t at = text.size() - 1;
  while (at > 0 && (static_cast<unsigned char>(text[at]) & 0xC0) == 0x80) --at;
  return at;
}

bool is_word(std::string_view character) {
  static const Pattern word = Pattern::regex(R"([\w\x{200c}\x{200d}])");
  return !word.find_all(character).empty();
}

bool stands_alone(std::string_view text, std::size_t begin, std::size_t end) {
  const auto before = text.substr(0, begin), after = text.substr(end);
  if (!before.empty() && is_word(before.substr(start_of_last(before)))) return false;
  return after.empty() || !is_word(after.substr(0, utf8::first(after).size));
}

std::size_t without_space_before(std::string_view text, std::size_t end) {
  while (end > 0) {
    const std::size_t at = start_of_last(text.substr(0, end));
    if (!unicode::is_space(utf8::first(text.substr(at)).code)) break;
    end = at;
  }
  return end;
}

std::size_t past_space(std::string_view text, std::size_t begin) {
  while (begin < text.size()) {
    const utf8::Point point = utf8::first(text.substr(begin));
    if (!unicode::is_space(point.code)) break;
    begin += point.size;
  }
  return begin;
}

}  // namespace

void AddedTokens::add(const AddedToken& token, std::string_view content) {
  if (content.empty()) return;
  std::uint32_t node = 0;
  for (const char byte : content) {
    const auto key = std::uint64_t{node} << 8 | static_cast<unsigned char>(byte);
    const auto [edge, fresh] = edges_.emplace(key, static_cast<std::uint32_t>(of_node_.size()));
    if (fresh) of_node_.push_back(-1);
    node = edge->second;
  }
  begins_[static_cast<unsigned char>(content[0])] = true;
  if (of_node_[node] >= 0) return;
  of_node_[node] = static_cast<std::int32_t>(tokens_.size());
  tokens_.push_back(token);
}

void AddedTokens::mark_special(std::int32_t id, std::string_view content) {
  std::uint32_t node = 0;
  for (const char byte : content) {
    const auto edge = edges_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(byte));
    if (edge == edges_.end()) return;
    node = edge->second;
  }
  if (of_node_[node] < 0) return;
  AddedToken& token = tokens_[static_cast<std::size_t>(of_node_[node])];
  if (token.id == id) token.special = true;
}

AddedTokens::Match AddedTokens::longest_at(std::string_view text, std::size_t at,
                                           const Allowed& allowed) const {
  const std::string_view rest = text.substr(at);
  Match best;
  std::uint32_t node = 0;
  for (std::size_t i = 0; i < rest.size(); ++i) {
    const auto edge = edges_.find(std::uint64_t{node} << 8 | static_cast<unsigned char>(rest[i]));
    if (edge == edges_.end()) break;
    node = edge->second;
    if (of_node_[node] < 0) continue;
    const AddedToken& token = tokens_[static_cast<std::size_t>(of_node_[node])];
    if (token.special && !allowed(at, at + i + 1)) continue;
    best = {i + 1, &token};
  }
  return best;
}

std::vector<Segment> AddedTokens::split(std::string_view text, Specials specials) const {
  return split(text, [specials](std::size_t, std::size_t) { return specials == Specials::recognise; });
}

std::vector<Segment> AddedTokens::split(std::string_view text, const Allowed& allowed) const {
  std::vector<Segment> segments;
  std::size_t done = 0;
  for (std::size_t at = 0; at < text.size() && !empty();) {
    const Match match =
        begins_[static_cast<unsigned char>(text[at])] ? longest_at(text, at, allowed) : Match{};
    if (!match.token) {
      ++at;
      continue;
    }
    std::size_t begin = at, end = at + match.size;
    at = end;
    if (match.token->single_word && !stands_alone(text, begin, end)) continue;
    if (match.token->lstrip) begin = std::max(done, without_space_before(text, begin));
    if (match.token->rstrip) end = past_space(text, end);
    if (done < begin) segments.push_back({-1, text.substr(done, begin - done)});
    segments.push_back({match.token->id, text.substr(begin, end - begin)});
    done = at = end;
  }
  if (done < text.size()) segments.push_back({-1, text.substr(done)});
  return segments;
}

}  // namespace prefer::text
