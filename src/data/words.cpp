// What readers of records share: members and metadata, one form for prompt and answers, answers that are
// none.
#include "src/data/words.hpp"

#include <utility>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

}  // namespace

const Json& member(const Json& record, const char* key) {
  const Json* found = record.find(key);
  if (!found) throw BadRecord(record.place(), "\"" + std::string(key) + "\" is missing");
  return *found;
}

void of_no_form(const Json& record, const char* forms) {
  std::string keys;
  for (const auto& [key, _] : record.as_object()) keys += (keys.empty() ? "" : ", ") + key;
  throw BadRecord(record.place(),
                  "a record of {" + keys + "} is of no known form; known are " + std::string(forms));
}

const Json* detail(const Json& record, const char* key) {
  const Json* found = record.find(key);
  const Json* metadata = record.find("metadata");
  if (!found && metadata && metadata->is_object()) found = metadata->find(key);
  return found && !found->is_null() ? found : nullptr;
}

std::string subset_of(const Json& record) {
  for (const char* key : {"subset", "category"}) {
    const Json* found = detail(record, key);
    if (found && found->is_string()) return found->as_string();
  }
  return "";
}

void agree(Words& prompt, std::span<Words* const> answers, const Json& asked) {
  const auto is_chat = [](const Words* words) { return words->index() == 1; };
  if (!is_chat(&prompt) && std::ranges::none_of(answers, is_chat)) return;
  const auto turned = [](Words& words, const char* role) {
    if (auto* text = std::get_if<std::string>(&words)) words = Messages{{role, std::move(*text), {}}};
  };
  turned(prompt, "user");
  const auto& messages = std::get<Messages>(prompt);
  for (Words* answer : answers) {
    turned(*answer, "assistant");
    auto& said = std::get<Messages>(*answer);
    // UltraFeedback repeats the prompt in both answers.
    const bool repeats = said.size() > messages.size() && !messages.empty() &&
                         std::equal(messages.begin(), messages.end(), said.begin());
    if (repeats) said.erase(said.begin(), said.begin() + static_cast<std::ptrdiff_t>(messages.size()));
  }
  if (messages.empty()) asked.fail_here("the prompt has no messages");
}

void check_answer(const Words& answer, const std::string& name, const std::string& place) {
  if (nothing_in(answer)) throw BadRecord(place, name + " is empty");
  const auto* messages = std::get_if<Messages>(&answer);
  if (messages && role_of(messages->back().role) != Role::assistant)
    throw BadRecord(place, name + " does not end with a message of the assistant");
}

}  // namespace prefer
