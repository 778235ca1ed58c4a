// Tokens out of JSON records; whatever is wrong is said with its place in the file.
#pragma once

#include "prefer/core/json.hpp"
#include "prefer/text/spans.hpp"

#include <cstdint>
#include <vector>

namespace prefer {

/// A list of ids of `tokenizer`.
std::vector<std::int32_t> ids_from_json(const Json& list, const Tokenizer& tokenizer);

/// A list of messages as the chat template writes them.
TokenSpans chat_from_json(const Json& messages, const SpanBuilder& spans, const ChatOptions& options = {});

/// The same, for the assistant to go on: with the generation prompt, or, where the last message is the
/// assistant's, up to that message's end.
TokenSpans open_chat_from_json(const Json& messages, const SpanBuilder& spans);

}  // namespace prefer
