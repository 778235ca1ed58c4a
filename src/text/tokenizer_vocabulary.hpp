// The vocabulary: tokens by id and ids by token, checked while it is built.
#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

namespace prefer::text {

inline constexpr std::size_t kMaxVocabulary = 2'000'000;
inline constexpr std::size_t kMaxMerges = 4'000'000;
inline constexpr std::size_t kMaxTokenBytes = 4096;
inline constexpr std::size_t kMaxCutBytes = std::size_t{1} << 28;  // that cutting every token in two looks at

/// `id` where a token may have it. Throws Error (starting with `place`) on one out of range.
std::int32_t checked_id(std::string_view token, std::int64_t id, const std::string& place);

class Vocabulary {
 public:
  /// Adds a token. Throws Error (starting with `place`) on an id or token that is taken, out of range or too
  /// long.
  void add(std::string_view token, std::int64_t id, const std::string& place);

  /// Throws Error (starting with `name`) unless the ids from 0 to the largest are all taken.
  void check_dense(const std::string& name) const;

  std::optional<std::int32_t> find(std::string_view token) const {
    const auto found = ids_.find(token);
    return found == ids_.end() ? std::nullopt : std::optional(found->second);
  }
  bool contains(std::int64_t id) const {
    return id >= 0 && id < size() && entries_[static_cast<std::size_t>(id)].key;
  }
  const std::string& token(std::int32_t id) const { return *entries_[static_cast<std::size_t>(id)].key; }
  std::int32_t size() const { return static_cast<std::int32_t>(entries_.size()); }

  void mark_special(std::int32_t id) { entries_[static_cast<std::size_t>(id)].special = true; }
  bool is_special(std::int32_t id) const { return entries_[static_cast<std::size_t>(id)].special; }

  /// Says that the model's own list lacks the token.
  void mark_added(std::int32_t id) { entries_[static_cast<std::size_t>(id)].letter = false; }

  /// Whether plain text must not give `id`: it is special, and not one of the model's own characters. Such a
  /// one (a pad token "!") is spelt in no other way, and would be lost.
  bool is_barred(std::int32_t id) const {
    const Entry& entry = entries_[static_cast<std::size_t>(id)];
    return entry.special && !entry.letter;
  }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view s) const { return std::hash<std::string_view>{}(s); }
  };
  struct Entry {
    const std::string* key = nullptr;  // into ids_, whose nodes do not move
    bool special = false;
    bool letter = false;  // one character, in the model's own list
  };
  std::unordered_map<std::string, std::int32_t, Hash, std::equal_to<>> ids_;
  std::vector<Entry> entries_;
};

}  // namespace prefer::text
