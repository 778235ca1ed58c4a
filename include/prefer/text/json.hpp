// Tokens and chats out of JSON records, where whatever is wrong is said with its place; and texts and lists
// into them.
#pragma once

#include "prefer/core/json.hpp"
#include "prefer/text/spans.hpp"

#include <cstdint>
#include <vector>

namespace prefer {

/// What `body` makes of a value; an error gets the value's place.
template <class Body>
auto placed_at(const Json& value, const Body& body) {
  try {
    return body();
  } catch (const Error& error) {
    value.fail_here(error.what());
  }
}

/// A list of ids of `tokenizer`.
std::vector<std::int32_t> ids_from_json(const Json& list, const Tokenizer& tokenizer);

/// A list of messages as the chat template writes them, for the assistant to go on: with the generation
/// prompt, or, where the last message is the assistant's, up to that message's end.
TokenSpans open_chat_from_json(const Json& messages, const SpanBuilder& spans);

/// The text that `ids` add to that of `before`, without special tokens: with the space, or the rest of a
/// character, that they begin with. Ids beyond the tokenizer's, which models with a padded vocabulary have,
/// add nothing.
std::string decode_after(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::int32_t>& before,
                         const std::vector<std::int32_t>& ids);

/// Numbers or texts as a list.
template <class T>
Json list_to_json(const std::vector<T>& items) {
  return Json::array({items.begin(), items.end()});
}

}  // namespace prefer
