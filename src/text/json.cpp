// Reads and checks lists of token ids, and renders lists of messages; decodes continuations.
#include "prefer/text/json.hpp"

namespace prefer {

std::vector<std::int32_t> ids_from_json(const Json& list, const Tokenizer& tokenizer) {
  std::vector<std::int32_t> ids;
  for (const Json& item : list.as_array()) {
    const std::int64_t id = item.as_integer();
    if (id < 0 || id >= tokenizer.vocab_size()) {
      item.fail_here("a token id lies in 0..", tokenizer.vocab_size() - 1, ", not ", id);
    }
    ids.push_back(static_cast<std::int32_t>(id));
  }
  return ids;
}

TokenSpans open_chat_from_json(const Json& messages, const SpanBuilder& spans) {
  const std::vector<Message> read = messages_from_json(messages);
  if (read.empty()) messages.fail_here("there are no messages");
  const bool begun = role_of(read.back().role) == Role::assistant;
  return placed_at(
      messages, [&] { return spans.chat(read, {.add_generation_prompt = !begun, .continue_final = begun}); });
}

std::string decode_after(std::shared_ptr<const Tokenizer> tokenizer, const std::vector<std::int32_t>& before,
                         const std::vector<std::int32_t>& ids) {
  const std::int32_t known = tokenizer->vocab_size();
  StreamDecoder decoder(std::move(tokenizer), /*skip_special=*/true);
  const auto said = [&](std::int32_t id) { return id < known ? decoder.feed(id) : ""; };
  for (const std::int32_t id : before) said(id);
  std::string text;
  for (const std::int32_t id : ids) text += said(id);
  return text + decoder.flush();
}

}  // namespace prefer
