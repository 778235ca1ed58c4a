// Texts and messages of records, as every reader takes them, and what readers of answers ask of them.
#pragma once

#include "prefer/data/preference.hpp"

#include <algorithm>
#include <span>
#include <string>

namespace prefer {

inline Words words_from(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_array()) return messages_from_json(value);
  if (value.is_object()) return messages_from_json(Json::array({value}));  // LLaMA-Factory's answers
  value.fail_here("must be a string or a list of messages, not ", value.type_name());
}

inline bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

inline bool nothing_in(const Words& words) {
  if (const auto* text = std::get_if<std::string>(&words)) return blank(*text);
  const auto& messages = std::get<std::vector<Message>>(words);
  return std::all_of(messages.begin(), messages.end(), [](const Message& message) {
    if (!blank(message.content)) return false;
    const Json* parts = message.extra.is_object() ? message.extra.find("content") : nullptr;
    const bool shows = parts != nullptr && parts->is_array() && !text_of_parts(*parts);  // a picture, say
    return !shows && !(message.extra.is_object() && message.extra.contains("tool_calls"));
  });
}

/// The member of that name; null where there is none or it is null, as tables fill their columns.
const Json* given(const Json& record, const char* key);

/// The member of that name; throws BadRecord where it is missing or null.
const Json& member(const Json& record, const char* key);

/// The record's keys, "a, b: null".
std::string keys_of(const Json& record);

/// Throws BadRecord for a record of none of `forms`, with the keys that it has.
[[noreturn]] void of_no_form(const Json& record, const char* forms);

/// A member of the record, or of its metadata; null where there is none.
const Json* detail(const Json& record, const char* key);

/// "subset", or "category"; empty where neither is a text.
std::string subset_of(const Json& record);

/// An answer, and what messages call it.
struct NamedAnswer {
  std::string name;
  Words& words;
};

/// Prompt and answers become messages where one of them is. Answers that repeat the prompt's messages lose
/// them; with a system message of their own before them, that becomes the prompt's. `asked` is the record's
/// prompt, for the place of an error. Throws BadRecord, at `place`, for an answer that begins with another
/// conversation or is the prompt alone, and where the answers' system messages differ.
void agree(Words& prompt, std::span<const NamedAnswer> answers, const Json& asked, const std::string& place);

/// The record's "system", or nothing.
std::string system_of(const Json& record);

/// Puts the record's "system", where it has one, before the messages of `opening`. Throws Error for texts
/// that do not hold it, and where the messages begin with another system message.
void add_system(const Json& record, Words& opening);

/// The record's "tools", for the chat template: a list, or a list as JSON text, as data sets of strings have
/// it. Null where they are none, null or empty, and where `beside` are texts, which no template sees. Throws
/// Error for what is no list.
Json tools_of(const Json& record, const Words& beside);

/// A prompt and what was answered; both texts, or both messages.
struct Completed {
  Words prompt, completion;
};

/// What a record of {prompt, completion} says, the prompt opened by its "system". Throws as agree and
/// add_system do, and where one of the two is a text and the other messages.
Completed completed_from(const Json& record);

/// Throws BadRecord, which calls the answer `name`, for messages that do not end with the assistant's, or are
/// none.
void check_speaker(const Words& answer, const std::string& name, const std::string& place);

/// The same, and for an answer that says nothing.
void check_answer(const Words& answer, const std::string& name, const std::string& place);

}  // namespace prefer
