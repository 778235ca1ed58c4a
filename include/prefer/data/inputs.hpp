// Records of the programs that run a model or a tokenizer over a file: texts to score, prompts to go on from,
// texts and ids to convert.
#pragma once

#include "prefer/text/json.hpp"

#include <cstdint>
#include <vector>

namespace prefer {

/// The tokens of a text, and from which of them on they count.
struct ScoredText {
  std::vector<std::int32_t> tokens = {};
  std::size_t counted = 0;
};

// All throw Error with the place for a record of none of its forms, and for what has no tokens where some are
// wanted. `specials` says whether special tokens spelled in a text become their ids; in messages they never
// do.

/// The record {text} of a text that stands in no file: its place is in "text".
Json text_record(const std::string& text);

/// {text}, {tokens}, {messages}, or {prompt, completion}, both texts or both messages, read as demonstrations
/// are (an empty completion is none of theirs, and has its score): of the last the completion counts, of the
/// others all. `ends`: EOS ends a completion that is a text.
ScoredText scored_text_from_json(const Json& record, const SpanBuilder& spans, Specials specials,
                                 bool ends = false);

/// What stands at {prompt} or {messages}: a text, or a list of messages.
const Json& given_prompt(const Json& record);

/// What a model is given of `prompt`, a text or a list of messages: messages are opened for the assistant's
/// turn, and so is a text with `chat`, as a user's message.
std::vector<std::int32_t> prompt_tokens_from_json(const Json& prompt, const SpanBuilder& spans,
                                                  Specials specials, bool chat = false);

/// {text} to {ids}, {messages} to {ids, text, roles}, {ids} to {text}.
Json converted_from_json(const Json& record, const SpanBuilder& spans, Specials specials,
                         bool add_generation_prompt = false);

}  // namespace prefer
