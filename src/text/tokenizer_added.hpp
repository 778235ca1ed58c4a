// Added tokens: those that are cut out of the text before the model sees it.
#pragma once

#include "prefer/text/tokenizer.hpp"

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace prefer::text {

struct AddedToken {
  std::string content;
  std::int32_t id = 0;
  bool single_word = false;  ///< only between word borders
  bool lstrip = false;       ///< takes the white space before it
  bool rstrip = false;       ///< takes the white space after it
  bool normalized = false;   ///< sought in the normalised text rather than in the raw one
  bool special = false;      ///< not sought in plain text
};

/// A stretch of text between added tokens (id -1), or an added token.
struct Segment {
  std::int32_t id = -1;
  std::string_view text;
};

/// Finds added tokens: the leftmost first, of those that begin there the longest.
class AddedTokens {
 public:
  /// `content` is what is sought: the token's own, or that normalised. An empty one is ignored. Of tokens
  /// that are sought as the same the first counts.
  void add(const AddedToken& token, std::string_view content);

  /// Token `id`, where it is sought as `content`, is special from now on.
  void mark_special(std::int32_t id, std::string_view content);

  bool empty() const { return tokens_.empty(); }

  std::vector<Segment> split(std::string_view text, Specials specials) const;

  /// Whether a special token may stand at bytes [begin, end).
  using Allowed = std::function<bool(std::size_t begin, std::size_t end)>;
  std::vector<Segment> split(std::string_view text, const Allowed& allowed) const;

 private:
  struct Match {
    std::size_t size = 0;
    const AddedToken* token = nullptr;
  };
  Match longest_at(std::string_view text, std::size_t at, const Allowed& allowed) const;

  // A trie over bytes: (node, byte) -> node; node 0 is the root, and tokens_[of_node_[node]] ends in a node.
  std::unordered_map<std::uint64_t, std::uint32_t> edges_;
  std::vector<std::int32_t> of_node_ = {-1};
  std::vector<AddedToken> tokens_;
  bool begins_[256] = {};
};

}  // namespace prefer::text
