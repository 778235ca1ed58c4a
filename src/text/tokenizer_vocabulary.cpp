// Building a vocabulary from what a file says, with its caps.
#include "tokenizer_vocabulary.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/utf8.hpp"

namespace prefer::text {

std::int32_t checked_id(std::string_view token, std::int64_t id, const std::string& place) {
  if (id < 0 || id >= static_cast<std::int64_t>(kMaxVocabulary))
    fail(place, ": token ", quote(token), " has id ", id, "; ids are from 0 to ", kMaxVocabulary - 1);
  return static_cast<std::int32_t>(id);
}

void Vocabulary::add(std::string_view token, std::int64_t id, const std::string& place) {
  const auto index = static_cast<std::size_t>(checked_id(token, id, place));
  if (token.size() > kMaxTokenBytes)
    fail(place, ": token ", id, " has ", token.size(), " bytes; at most ", kMaxTokenBytes, " are allowed");
  if (index >= entries_.size()) entries_.resize(index + 1);
  if (entries_[index].key)
    fail(place, ": tokens ", quote(*entries_[index].key), " and ", quote(token), " share the id ", id);
  const auto [at, fresh] = ids_.emplace(token, static_cast<std::int32_t>(id));
  if (!fresh) fail(place, ": token ", quote(token), " has two ids, ", at->second, " and ", id);
  entries_[index].key = &at->first;
  entries_[index].letter = !token.empty() && utf8::first(token).size == token.size();
}

void Vocabulary::check_dense(const std::string& name) const {
  if (entries_.empty()) fail(name, ": the vocabulary is empty");
  for (std::size_t id = 0; id < entries_.size(); ++id)
    if (!entries_[id].key)
      fail(name, ": no token has id ", id, ", though the largest id is ", entries_.size() - 1);
}

}  // namespace prefer::text
