// Messages of a conversation, and the roles that tokens take from them.
#pragma once

#include "prefer/core/json.hpp"

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

/// Who a token's bytes come from. `none`: plain text outside any conversation; `scaffold`: what the template
/// writes.
enum class Role : std::uint8_t { none, scaffold, system, user, assistant, tool };

const char* role_name(Role role);
/// developer counts as system; ipython, function and tool_results as tool; an unknown name as none.
Role role_of(std::string_view name);

/// One message. `content` is its text; `extra`, an object or null, holds the record's other members
/// (tool_calls, name, weight, ...) and a `content` that is not a string: null beside tool calls, or a list of
/// parts, of which a template takes the list or, where all are texts, `content`.
struct Message {
  std::string role = {};
  std::string content = {};
  Json extra = {};
  friend bool operator==(const Message&, const Message&) = default;
};

/// Whether two say the same: role, content, and what they call. Their other members (weight, id, ...) are
/// notes.
bool say_the_same(const Message& a, const Message& b);

/// The texts of a content's parts, end to end, as templates that take parts apart write them; nothing where
/// one is no text.
std::optional<std::string> text_of_parts(const Json& content);

/// Reads a list of {role, content, ...}, or ShareGPT's {from, value}. Role names are [A-Za-z0-9_.-]{1,64}, so
/// that no role can forge a control token. Members that are null, and an empty tool_calls, are left out.
/// Throws Error with the place of what is wrong.
std::vector<Message> messages_from_json(const Json& list);

}  // namespace prefer
