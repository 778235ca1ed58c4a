// Preference and prompt records out of JSON: the forms, the implicit prompt, HH-RLHF, and what is refused.
#include "prefer/data/preference.hpp"

#include "src/data/words.hpp"

#include <algorithm>
#include <array>
#include <utility>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

constexpr std::string_view kHuman = "\n\nHuman:", kAssistant = "\n\nAssistant:";

/// What is no number is not given: most trainers only keep these.
double number_or_nan(const Json& record, const char* key) {
  const Json* found = detail(record, key);
  return found && found->is_number() ? found->as_number() : Preference::kNotGiven;
}

/// How many characters are the prompt: up to the first difference, a space before it not counted (TRL's
/// extract_prompt; where one text begins the other, its last character counts as the first difference).
std::size_t common_text(std::string_view a, std::string_view b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  if (shorter == 0) return 0;
  std::size_t at = static_cast<std::size_t>(
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin()).first -
      a.begin());
  const bool differs = at < shorter;
  if (!differs) at = shorter - 1;
  while (at > 0 && (static_cast<unsigned char>(a[at]) & 0xC0) == 0x80) --at;
  if (differs && at > 0 && a[at - 1] == ' ') --at;
  return at;
}

/// HH-RLHF: the prompt goes to the end of the last "\n\nAssistant:" that both have; the space after it is the
/// answer's.
std::size_t common_dialogue(std::string_view a, std::string_view b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  const auto same =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin()).first;
  const std::size_t turn = a.substr(0, static_cast<std::size_t>(same - a.begin())).rfind(kAssistant);
  return turn == std::string_view::npos ? 0 : turn + kAssistant.size();
}

std::size_t common_messages(const Messages& a, const Messages& b) {
  const std::size_t shorter = std::min(a.size(), b.size());
  if (shorter == 0) return 0;
  const auto differs =
      std::mismatch(a.begin(), a.begin() + static_cast<std::ptrdiff_t>(shorter), b.begin(), say_the_same)
          .first;
  return std::min(static_cast<std::size_t>(differs - a.begin()), shorter - 1);
}

void split_off_prompt(Preference& pair) {
  if (auto* chosen = std::get_if<std::string>(&pair.chosen)) {
    auto& rejected = std::get<std::string>(pair.rejected);
    const bool dialogues = chosen->starts_with(kHuman) && rejected.starts_with(kHuman);
    const std::size_t cut = dialogues ? common_dialogue(*chosen, rejected) : common_text(*chosen, rejected);
    pair.prompt = chosen->substr(0, cut);
    chosen->erase(0, cut);
    rejected.erase(0, cut);
    return;
  }
  auto& chosen = std::get<Messages>(pair.chosen);
  auto& rejected = std::get<Messages>(pair.rejected);
  const auto cut = static_cast<std::ptrdiff_t>(common_messages(chosen, rejected));
  pair.prompt = Messages(chosen.begin(), chosen.begin() + cut);
  chosen.erase(chosen.begin(), chosen.begin() + cut);
  rejected.erase(rejected.begin(), rejected.begin() + cut);
}

/// Dialogues in both answers and no prompt beside them.
bool as_dialogues(Preference& pair) {
  const auto* chosen = std::get_if<std::string>(&pair.chosen);
  const auto* rejected = std::get_if<std::string>(&pair.rejected);
  if (!chosen || !rejected) return false;
  Messages a = messages_from_dialogue(*chosen), b = messages_from_dialogue(*rejected);
  if (a.empty() || b.empty()) return false;
  pair.chosen = std::move(a);
  pair.rejected = std::move(b);
  return true;
}

/// A record without a prompt that has one of these keeps its question there, so no prompt may be guessed.
void refuse_other_forms(const Json& record) {
  for (const char* key : {"messages", "instruction", "question", "input", "query"}) {
    if (given(record, key)) {
      throw BadRecord(record.place(), "\"prompt\" is missing (the record has \"" + std::string(key) +
                                          "\", which is not read as one)");
    }
  }
}

void check(const Preference& pair) {
  if (pair.chosen == pair.rejected) throw BadRecord(pair.place, "chosen equals rejected");
  check_answer(pair.chosen, "chosen", pair.place);
  check_answer(pair.rejected, "rejected", pair.place);
}

}  // namespace

std::vector<Message> messages_from_dialogue(std::string_view text) {
  Messages messages;
  if (!text.starts_with(kHuman)) return messages;
  while (!text.empty()) {
    const bool human = text.starts_with(kHuman);
    text.remove_prefix(human ? kHuman.size() : kAssistant.size());
    if (text.starts_with(' ')) text.remove_prefix(1);
    const std::size_t end = std::min(text.find(kHuman), text.find(kAssistant));
    messages.push_back({human ? "user" : "assistant", std::string(text.substr(0, end)), {}});
    text.remove_prefix(std::min(end, text.size()));
  }
  return messages;
}

Preference preference_from_json(const Json& record, Dialogues dialogues) {
  if (!record.is_object()) record.fail_here("a record must be an object, not ", record.type_name());
  Preference pair;
  pair.place = record.place();
  if (!given(record, "chosen") && given(record, "answers"))
    throw BadRecord(pair.place,
                    "\"chosen\" is missing (the record has \"answers\": a ranking, which reward reads with "
                    "loss.name=plackett_luce)");
  if (!record.contains("chosen") && !record.contains("rejected"))
    of_no_form(record,
               "{prompt, chosen, rejected}, {conversations, chosen, rejected} and {chosen, rejected}");
  pair.chosen = words_from(member(record, "chosen"));
  pair.rejected = words_from(member(record, "rejected"));
  pair.score_chosen = number_or_nan(record, "score_chosen");
  pair.score_rejected = number_or_nan(record, "score_rejected");
  pair.margin = number_or_nan(record, "margin");
  pair.subset = subset_of(record);
  const Json* prompt = given(record, "prompt");
  if (!prompt) prompt = given(record, "conversations");  // as LLaMA-Factory has it
  if (prompt) {
    pair.prompt = words_from(*prompt);
    agree(pair.prompt, std::array{NamedAnswer{"chosen", pair.chosen}, NamedAnswer{"rejected", pair.rejected}},
          *prompt, pair.place);
    add_system(record, pair.prompt);
  } else {
    refuse_other_forms(record);
    if (pair.chosen == pair.rejected) throw BadRecord(pair.place, "chosen equals rejected");
    if (pair.chosen.index() != pair.rejected.index()) {
      throw BadRecord(pair.place,
                      "one of chosen and rejected is a text, the other messages, and no prompt is given");
    }
    if (dialogues == Dialogues::as_messages) as_dialogues(pair);
    add_system(record, pair.chosen);
    add_system(record, pair.rejected);
    split_off_prompt(pair);
  }
  pair.tools = tools_of(record, pair.prompt);
  check(pair);
  return pair;
}

std::vector<Preference> read_preferences(Fs& fs, const std::string& path, OnBad on_bad, Dialogues dialogues,
                                         Skipped& skipped) {
  std::vector<Preference> pairs;
  read_records(fs, path, on_bad, skipped,
               [&](const Json& record) { pairs.push_back(preference_from_json(record, dialogues)); });
  return pairs;
}

PromptRecord prompt_from_json(const Json& record) {
  if (!record.is_object()) record.fail_here("a record must be an object, not ", record.type_name());
  const Json* prompt = given(record, "prompt");
  const Json* messages_given = given(record, "messages");
  if (!prompt && !messages_given) throw BadRecord(record.place(), "\"prompt\" or \"messages\" is missing");
  const Json& value = prompt ? *prompt : *messages_given;
  if (!prompt && !value.is_array()) value.fail_here("messages must be a list, not ", value.type_name());
  PromptRecord out{words_from(value), record.place()};
  const auto* messages = std::get_if<Messages>(&out.words);
  if (messages && messages->empty()) value.fail_here("there are no messages");
  for (const auto& [key, other] : record.as_object()) {
    const bool said = key == "prompt" || key == "messages" || key == "chosen" || key == "rejected" ||
                      key == "completion" || key == "answers";
    if (!said) out.others.set(key, other);
  }
  return out;
}

}  // namespace prefer
