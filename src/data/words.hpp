// Texts and messages of records, as every reader takes them.
#pragma once

#include "prefer/data/preference.hpp"

#include <algorithm>

namespace prefer {

inline Words words_from(const Json& value) {
  if (value.is_string()) return value.as_string();
  if (value.is_array()) return messages_from_json(value);
  value.fail_here("must be a string or a list of messages, not ", value.type_name());
}

inline bool blank(std::string_view text) {
  return text.find_first_not_of(" \t\r\n") == std::string_view::npos;
}

inline bool nothing_in(const Words& words) {
  if (const auto* text = std::get_if<std::string>(&words)) return blank(*text);
  const auto& messages = std::get<std::vector<Message>>(words);
  return std::all_of(messages.begin(), messages.end(), [](const Message& message) {
    return blank(message.content) && message.extra.is_null();
  });
}

}  // namespace prefer
