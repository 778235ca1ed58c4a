// Demonstrations out of JSON: the form of a record, Alpaca's texts and turns, and what is refused.
#include "prefer/data/demonstration.hpp"

#include "src/data/words.hpp"

#include <utility>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

constexpr const char* kForms =
    "{prompt, completion}, {messages}, {conversations}, {instruction, output} and {text}";
constexpr const char* kJudgedForms =
    "{prompt, completion, label}, {messages, label}, {conversations, label} and {instruction, output, label}";

std::string text_or_nothing(const Json& record, const char* key) {
  const Json* found = given(record, key);
  return found != nullptr ? found->as_string() : "";
}

Demonstration conversation(const Json& record, const Json& turns) {
  if (!turns.is_array())
    turns.fail_here("a conversation must be a list of messages, not ", turns.type_name());
  if (turns.size() == 0) turns.fail_here("there are no messages");
  Demonstration made{.prompt = Messages{}, .completion = messages_from_json(turns), .whole = true};
  add_system(record, made.completion);
  return made;
}

/// Turns before the question: a list of [what was asked, what was said].
void add_history(const Json& record, Messages& messages) {
  const Json* history = given(record, "history");
  if (history == nullptr) return;
  for (const Json& turn : history->as_array()) {
    if (turn.size() != 2)
      turn.fail_here("a turn of history is [question, answer], not ", turn.size(), " items");
    messages.push_back({"user", turn.at(std::size_t{0}).as_string(), {}});
    messages.push_back({"assistant", turn.at(std::size_t{1}).as_string(), {}});
  }
}

Demonstration alpaca_messages(const Json& record, std::string asked, const std::string& input) {
  Messages prompt;
  add_history(record, prompt);
  if (!asked.empty() && !input.empty()) asked += "\n";  // LLaMA-Factory joins what is not empty
  asked += input;
  prompt.push_back({"user", std::move(asked), {}});
  Demonstration made{.prompt = std::move(prompt),
                     .completion = Messages{{"assistant", record.at("output").as_string(), {}}}};
  add_system(record, made.prompt);
  return made;
}

Demonstration alpaca_text(const Json& record, const std::string& asked, const std::string& input) {
  Messages history;
  add_history(record, history);
  if (!history.empty() || !system_of(record).empty())
    record.fail_here(
        "\"system\" and \"history\" beside an instruction want a tokenizer with a chat template");
  std::string prompt =
      input.empty() ? "Below is an instruction that describes a task. "
                    : "Below is an instruction that describes a task, paired with an input that provides "
                      "further context. ";
  prompt += "Write a response that appropriately completes the request.\n\n### Instruction:\n" + asked;
  if (!input.empty()) prompt += "\n\n### Input:\n" + input;
  return {.prompt = prompt + "\n\n### Response:\n", .completion = record.at("output").as_string()};
}

Demonstration alpaca(const Json& record, Instructions instructions) {
  const std::string &asked = record.at("instruction").as_string(), input = text_or_nothing(record, "input");
  return instructions == Instructions::as_messages ? alpaca_messages(record, asked, input)
                                                   : alpaca_text(record, asked, input);
}

Demonstration prompted(const Json& record) {
  Completed made = completed_from(record);
  return {.prompt = std::move(made.prompt), .completion = std::move(made.completion)};
}

Demonstration text_alone(const Json& record, const Json& text) {
  Demonstration made{.completion = text.as_string(), .whole = true};
  add_system(record, made.completion);
  return made;
}

Demonstration by_form(const Json& record, Instructions instructions, const char* forms) {
  if (given(record, "prompt") && given(record, "completion")) return prompted(record);
  for (const char* key : {"messages", "conversations"}) {
    if (const Json* turns = given(record, key)) return conversation(record, *turns);
  }
  if (given(record, "instruction") && given(record, "output")) return alpaca(record, instructions);
  if (const Json* text = given(record, "text")) return text_alone(record, *text);
  of_no_form(record, forms);
}

/// Of a conversation, its last message is the answer that was judged.
void judge_last(const Json& record, Demonstration& talk) {
  auto* messages = std::get_if<Messages>(&talk.completion);
  if (messages == nullptr) of_no_form(record, kJudgedForms);  // a text
  if (messages->size() < 2) throw BadRecord(talk.place, "a judged conversation has a prompt and an answer");
  Messages answer{std::move(messages->back())};
  messages->pop_back();
  check_answer(answer, "the judged answer", talk.place);
  talk = {.prompt = std::move(*messages),
          .completion = std::move(answer),
          .tools = std::move(talk.tools),
          .place = talk.place};
}

Demonstration read(const Json& record, Instructions instructions, const char* forms) {
  if (!record.is_object()) record.fail_here("a record must be an object, not ", record.type_name());
  Demonstration made = by_form(record, instructions, forms);
  made.place = record.place();
  made.tools = tools_of(record, made.completion);
  if (nothing_in(made.completion))
    throw BadRecord(made.place, "there is nothing to learn: the text is empty");
  if (!made.whole) check_answer(made.completion, "the completion", made.place);
  return made;
}

}  // namespace

Demonstration demonstration_from_json(const Json& record, Instructions instructions) {
  return read(record, instructions, kForms);
}

JudgedAnswer judged_from_json(const Json& record, Instructions instructions) {
  JudgedAnswer made{read(record, instructions, kJudgedForms)};
  if (made.answer.whole) judge_last(record, made.answer);
  const Json* label = record.find("label");
  if (!label || !label->is_bool())
    throw BadRecord(label ? label->place() : record.place(),
                    "\"label\" is " + std::string(label ? label->type_name() : "missing") +
                        "; it must be true (a good answer) or false (a bad one)");
  made.good = label->as_bool();
  return made;
}

}  // namespace prefer
