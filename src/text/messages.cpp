// Messages out of JSON records.
#include "prefer/text/messages.hpp"

#include <algorithm>
#include <array>
#include <cctype>

namespace prefer {
namespace {

bool good_role(std::string_view name) {
  return !name.empty() && name.size() <= 64 && std::all_of(name.begin(), name.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  });
}

Message share_gpt(const Json& item) {
  static constexpr std::array<std::pair<std::string_view, std::string_view>, 10> kNames = {
      {{"human", "user"},
       {"user", "user"},
       {"gpt", "assistant"},
       {"assistant", "assistant"},
       {"chatgpt", "assistant"},
       {"bard", "assistant"},
       {"system", "system"},
       {"function_call", "assistant"},
       {"observation", "tool"},
       {"tool", "tool"}}};
  const Json& from = item.at("from");
  const std::string& name = from.as_string();
  const auto* known =
      std::find_if(kNames.begin(), kNames.end(), [&](const auto& n) { return n.first == name; });
  if (known == kNames.end()) {
    std::string all;
    for (const auto& [each, _] : kNames) all.append(all.empty() ? "" : ", ").append(each);
    from.fail_here("from is ", quote(name), "; known are ", all);
  }
  return {std::string(known->second), item.at("value").as_string()};
}

/// Content that is no string: a list of parts such as {"type": "text", ...}, or null beside tool calls.
void check_parts(const Json& content) {
  if (content.is_null()) return;
  if (!content.is_array())
    content.fail_here("content must be a string or a list of parts, not ", content.type_name());
  for (const Json& part : content.as_array())
    if (!part.is_object() && !part.is_string())
      part.fail_here("a part of a content must be an object or a string, not ", part.type_name());
}

/// What data sets fill in where a message has no such member; content may be null beside tool calls.
bool filled_in(const std::string& key, const Json& value) {
  return value.is_null() || (key == "tool_calls" && value.is_array() && value.size() == 0);
}

Message of_role(const Json& item) {
  Message message;
  const Json& role = item.at("role");
  message.role = role.as_string();
  if (!good_role(message.role))
    role.fail_here("role ", quote(message.role), " is not 1 to 64 of [A-Za-z0-9_.-]");
  const Json* content = item.find("content");
  const Json* calls = item.find("tool_calls");
  const bool calls_nothing = calls == nullptr || filled_in("tool_calls", *calls);
  if (calls_nothing && (content == nullptr || content->is_null()))
    item.fail_here("\"content\" is ", content == nullptr ? "missing" : "null");
  if (content != nullptr && content->is_string()) {
    message.content = content->as_string();
  } else if (content != nullptr) {
    check_parts(*content);
    message.content = text_of_parts(*content).value_or("");
    message.extra.set("content", *content);
  }
  return message;
}

Message message_from_json(const Json& item) {
  if (!item.is_object())
    item.fail_here("a message must be an object with role and content, not ", item.type_name());
  const bool shared = item.contains("from") && !item.contains("role");
  Message message = shared ? share_gpt(item) : of_role(item);
  for (const auto& [key, value] : item.as_object()) {
    const bool read = shared ? key == "from" || key == "value" : key == "role";
    if (!read && key != "content" && !filled_in(key, value)) message.extra.set(key, value);
  }
  return message;
}

const Json* member(const Message& message, const char* key) {
  return message.extra.is_object() ? message.extra.find(key) : nullptr;
}

}  // namespace

bool say_the_same(const Message& a, const Message& b) {
  if (a.role != b.role || a.content != b.content) return false;
  for (const char* key : {"tool_calls", "name", "content"}) {
    if (key == std::string_view("content") && !a.content.empty())
      continue;  // parts, of which that is the text
    const Json *of_a = member(a, key), *of_b = member(b, key);
    if ((of_a == nullptr) != (of_b == nullptr) || (of_a != nullptr && *of_a != *of_b)) return false;
  }
  return true;
}

std::optional<std::string> text_of_parts(const Json& content) {
  if (!content.is_array()) return std::nullopt;
  std::string text;
  for (const Json& part : content.as_array()) {
    const Json* type = part.is_object() ? part.find("type") : nullptr;
    const Json* words = type != nullptr && *type == Json("text") ? part.find("text") : nullptr;
    if (words == nullptr || !words->is_string()) return std::nullopt;
    text += words->as_string();
  }
  return text;
}

const char* role_name(Role role) {
  static constexpr const char* kNames[] = {"none", "scaffold", "system", "user", "assistant", "tool"};
  return kNames[static_cast<std::size_t>(role)];
}

Role role_of(std::string_view name) {
  if (name == "system" || name == "developer") return Role::system;
  if (name == "user") return Role::user;
  if (name == "assistant" || name == "model") return Role::assistant;
  if (name == "tool" || name == "ipython" || name == "function" || name == "tool_results") return Role::tool;
  return Role::none;
}

std::vector<Message> messages_from_json(const Json& list) {
  std::vector<Message> messages;
  for (const Json& item : list.as_array()) messages.push_back(message_from_json(item));
  return messages;
}

}  // namespace prefer
