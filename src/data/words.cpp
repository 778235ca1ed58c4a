// What readers of records share: members and metadata, one form for prompt and answers, what stands beside
// them, a prompt with its completion, answers that are none.
#include "src/data/words.hpp"

#include <array>
#include <optional>
#include <utility>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

bool begins_with_system(const Messages& messages) {
  return !messages.empty() && role_of(messages.front().role) == Role::system;
}

/// How many messages at the beginning of `said` are the prompt, whichever of the two has a system message; 0
/// where it begins otherwise.
std::ptrdiff_t repeated(const Messages& prompt, const Messages& said) {
  const std::ptrdiff_t skipped = begins_with_system(prompt) && !begins_with_system(said),
                       own = begins_with_system(said) && !begins_with_system(prompt);
  const auto begin = prompt.begin() + skipped;
  const std::ptrdiff_t end = own + (prompt.end() - begin);
  return std::ssize(said) >= end && std::equal(begin, prompt.end(), said.begin() + own, say_the_same) ? end
                                                                                                      : 0;
}

/// A whole conversation that is not the prompt's would stand behind what the user asked as a second one.
void refuse_another_conversation(const Messages& prompt, const Messages& said, const std::string& name,
                                 const std::string& place) {
  if (said.size() < 2 || role_of(prompt.back().role) != Role::user) return;
  const std::string& first = said.front().role;
  if (role_of(first) == Role::assistant || role_of(first) == Role::tool) return;
  throw BadRecord(place, name + " begins with a message of the " + first + " that is not the prompt's");
}

}  // namespace

const Json* given(const Json& record, const char* key) {
  const Json* found = record.find(key);
  return found != nullptr && !found->is_null() ? found : nullptr;
}

const Json& member(const Json& record, const char* key) {
  const Json* found = record.find(key);
  if (!found || found->is_null())
    throw BadRecord(found ? found->place() : record.place(),
                    "\"" + std::string(key) + "\" is " + (found ? "null" : "missing"));
  return *found;
}

std::string keys_of(const Json& record) {
  std::string keys;
  for (const auto& [key, value] : record.as_object()) {
    const std::string quoted = quote(key);
    const bool plain = quoted == "\"" + key + "\"";
    keys += (keys.empty() ? "" : ", ") + (plain ? key : quoted) + (value.is_null() ? ": null" : "");
  }
  return keys;
}

void of_no_form(const Json& record, const char* forms) {
  throw BadRecord(record.place(), "a record of {" + keys_of(record) + "} is of no known form; known are " +
                                      std::string(forms));
}

const Json* detail(const Json& record, const char* key) {
  const Json* found = given(record, key);
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

void agree(Words& prompt, std::span<const NamedAnswer> answers, const Json& asked, const std::string& place) {
  const auto is_chat = [](const NamedAnswer& answer) { return answer.words.index() == 1; };
  if (prompt.index() == 0 && std::ranges::none_of(answers, is_chat)) return;
  const auto turned = [](Words& words, const char* role) {
    if (auto* text = std::get_if<std::string>(&words)) words = Messages{{role, std::move(*text), {}}};
  };
  turned(prompt, "user");
  auto& messages = std::get<Messages>(prompt);
  if (messages.empty()) asked.fail_here("the prompt has no messages");
  std::optional<Messages> opening;
  for (const NamedAnswer& answer : answers) {
    turned(answer.words, "assistant");
    auto& said = std::get<Messages>(answer.words);
    const std::ptrdiff_t end = repeated(messages, said);  // UltraFeedback repeats the prompt in both answers
    if (end == 0) refuse_another_conversation(messages, said, answer.name, place);
    if (end > 0 && end == std::ssize(said))
      throw BadRecord(place, answer.name + " repeats the prompt and does not answer it");
    const bool adds_system = end > 0 && begins_with_system(said);
    Messages own = adds_system ? Messages(said.begin(), said.begin() + end) : messages;
    said.erase(said.begin(), said.begin() + end);
    if (opening && !std::ranges::equal(*opening, own, say_the_same))
      throw BadRecord(place, answers.front().name + " and " + answer.name +
                                 " do not have the same messages before what they answer");
    opening = std::move(own);
  }
  if (opening) messages = std::move(*opening);
}

std::string system_of(const Json& record) {
  const Json* system = given(record, "system");
  return system != nullptr ? system->as_string() : "";
}

void add_system(const Json& record, Words& opening) {
  const std::string system = system_of(record);
  if (blank(system)) return;
  auto* messages = std::get_if<Messages>(&opening);
  if (messages == nullptr) {
    if (std::get<std::string>(opening).find(system) != std::string::npos) return;  // it was rendered
    record.at("system").fail_here(
        "\"system\" beside texts is not read: put it into the text, or give messages");
  }
  if (!begins_with_system(*messages))
    messages->insert(messages->begin(), {"system", system, {}});
  else if (messages->front().content != system)
    record.at("system").fail_here("\"system\" is ", quote(system), ", and the messages begin with another: ",
                                  quote(messages->front().content));
}

Json tools_of(const Json& record, const Words& beside) {
  const Json* tools = given(record, "tools");
  const bool rendered = beside.index() == 0;  // a text says all there is to say
  if (rendered || tools == nullptr || (tools->is_string() && blank(tools->as_string()))) return {};
  Json list = tools->is_string() ? parse_json(tools->as_string(), tools->place() + " (tools)") : *tools;
  const bool none = list.is_null() || ((list.is_array() || list.is_object()) && list.size() == 0);
  if (none) return {};
  if (!list.is_array()) list.fail_here("tools are a list, not ", list.type_name());
  return list;
}

Completed completed_from(const Json& record) {
  Completed made{words_from(record.at("prompt")), words_from(record.at("completion"))};
  if (made.prompt.index() != made.completion.index())
    throw BadRecord(record.place(), "one of prompt and completion is a text, the other messages");
  agree(made.prompt, std::array{NamedAnswer{"the completion", made.completion}}, record.at("prompt"),
        record.place());
  add_system(record, made.prompt);
  return made;
}

void check_speaker(const Words& answer, const std::string& name, const std::string& place) {
  const auto* messages = std::get_if<Messages>(&answer);
  if (messages == nullptr) return;
  if (messages->empty()) throw BadRecord(place, name + " is empty");
  if (role_of(messages->back().role) != Role::assistant)
    throw BadRecord(place, name + " does not end with a message of the assistant, but of " +
                               quote(messages->back().role));
}

void check_answer(const Words& answer, const std::string& name, const std::string& place) {
  if (nothing_in(answer)) throw BadRecord(place, name + " is empty");
  check_speaker(answer, name, place);
}

}  // namespace prefer
