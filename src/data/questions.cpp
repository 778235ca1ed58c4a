// Reads prompts and encodes them.
#include "prefer/data/questions.hpp"

#include "prefer/core/sha256.hpp"
#include "prefer/text/json.hpp"
#include "src/data/words.hpp"

#include <algorithm>
#include <optional>

namespace prefer {
namespace {

using Messages = std::vector<Message>;

/// What a record asks: of a whole conversation, what stands before its last answer.
PromptRecord asked_by(const Json& record) {
  PromptRecord asked = prompt_from_json(record);
  if (given(record, "prompt") == nullptr) {
    auto& messages = std::get<Messages>(asked.words);
    while (!messages.empty() && role_of(messages.back().role) == Role::assistant) messages.pop_back();
    if (messages.empty())
      throw BadRecord(asked.place, "there is no prompt: all messages are the assistant's");
  }
  add_system(record, asked.words);
  return asked;
}

/// Messages as a record has them: each with its other members, and a content of parts as it was.
Json to_json(const Messages& messages) {
  Json list = Json::array();
  for (const Message& message : messages) {
    Json one = Json::object({{"role", message.role}, {"content", message.content}});
    if (message.extra.is_object())
      for (const auto& [key, value] : message.extra.as_object()) one.set(key, value);
    list.push(std::move(one));
  }
  return list;
}

/// What the template writes from an answer's end token on: a line's end behind it, often.
std::vector<std::int32_t> tail_after(Messages messages, const SpanBuilder& spans, const Json& tools) {
  if (role_of(messages.back().role) == Role::assistant) messages.pop_back();  // turns alternate
  const Message reply{"assistant", "."};
  const TokenisedCompletion made = spans.answer(messages, std::span(&reply, 1), {.tools = tools});
  if (made.end == 0) return {};
  return {made.completion.begin() + static_cast<std::ptrdiff_t>(made.end) - 1, made.completion.end()};
}

}  // namespace

std::vector<Question> load_questions(Fs& fs, const std::string& path, const SpanBuilder& spans,
                                     const QuestionOptions& options, Skipped& skipped) {
  std::vector<Question> questions;
  std::optional<std::vector<std::int32_t>> tail;  // one template writes all
  const auto encoded = [&](const Words& words, const Json& tools) -> Question {
    if (const auto* text = std::get_if<std::string>(&words))
      return {spans.text(*text, options.specials).ids, *text};
    const auto& messages = std::get<Messages>(words);
    const bool begun = role_of(messages.back().role) == Role::assistant;
    const ChatOptions opened{.add_generation_prompt = !begun, .continue_final = begun, .tools = tools};
    Question question{spans.chat(messages, opened).ids, messages.back().content};
    if (!tail) tail = tail_after(messages, spans, tools);
    question.tail = *tail;
    return question;
  };
  read_records(fs, path, options.on_bad, skipped, [&](const Json& record) {
    PromptRecord asked = asked_by(record);
    const Json tools = tools_of(record, asked.words);
    Question question = placed_at(record, [&] { return encoded(asked.words, tools); });
    if (question.tokens.empty()) throw BadRecord(asked.place, "the prompt is empty");
    question.record = questions.size();
    question.place = asked.place;
    if (const auto* messages = std::get_if<Messages>(&asked.words))
      asked.others.set("messages", to_json(*messages));
    if (asked.others.size() > 0) question.others = std::make_shared<const Json>(std::move(asked.others));
    questions.push_back(std::move(question));
  });
  return questions;
}

std::vector<Question> as_questions(std::span<const std::string> texts, const SpanBuilder& spans) {
  std::vector<Question> questions;
  for (const std::string& text : texts) questions.push_back({spans.text(text).ids, text, questions.size()});
  return questions;
}

std::string fingerprint(std::span<const Question> questions) {
  Sha256 hash;
  for (const Question& question : questions) {
    hash.add(std::as_bytes(std::span(question.tokens)));
    // The tokens are those of messages that hold a role and a content alone.
    const auto holds_more = [](const Json& message) { return message.size() > 2; };
    Json others = Json::object();
    for (const auto& [key, value] : question.others->as_object())
      if (key != "messages" || std::ranges::any_of(value.as_array(), holds_more)) others.set(key, value);
    if (others.size() > 0) hash.add(dump(others));
    hash.add("|");
  }
  return hash.hex();
}

}  // namespace prefer
