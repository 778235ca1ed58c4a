// Reads the records of score, generate and tokenize.
#include "prefer/data/inputs.hpp"

#include "prefer/data/preference.hpp"
#include "src/data/sides.hpp"
#include "src/data/words.hpp"

namespace prefer {
namespace {

/// A conversation with the system message and tools that stand beside it.
TokenSpans conversation(const Json& record, const Json& messages, const SpanBuilder& spans, ChatOptions how) {
  Words words = messages_from_json(messages);
  if (std::get<1>(words).empty()) messages.fail_here("there are no messages");
  add_system(record, words);
  how.tools = tools_of(record, words);
  return placed_at(messages, [&] { return spans.chat(std::get<1>(words), how); });
}

/// A text, which holds the "system" that stands beside it.
std::string text_of(const Json& record, const Json& text) {
  Words words = text.as_string();
  add_system(record, words);
  return std::get<std::string>(words);
}

TokenisedCompletion answer_from_json(const Json& record, const SpanBuilder& spans, Specials specials,
                                     bool ends) {
  const Completed made = completed_from(record);
  // No more is asked of it: one that says nothing has its score too.
  check_speaker(made.completion, "the completion", record.place());
  const Json tools = tools_of(record, made.prompt);
  const LengthOptions options{.append_eos = ends, .specials_in_text = specials == Specials::recognise};
  return placed_at(record, [&] { return encode(made.prompt, made.completion, spans, options, tools); });
}

ScoredText text_from_json(const Json& record, const SpanBuilder& spans, Specials specials, bool ends) {
  if (const Json* tokens = given(record, "tokens")) return {ids_from_json(*tokens, spans.tokenizer()), 0};
  if (const Json* messages = given(record, "messages"))
    return {conversation(record, *messages, spans, {}).ids, 0};
  if (given(record, "prompt") == nullptr) {
    const Json* found = given(record, "text");
    if (found == nullptr) of_no_form(record, "{text}, {tokens}, {messages} and {prompt, completion}");
    const std::string text = text_of(record, *found);
    return {placed_at(record, [&] { return spans.text(text, specials).ids; }), 0};
  }
  const TokenisedCompletion made = answer_from_json(record, spans, specials, ends);
  ScoredText text{made.prompt, made.prompt.size()};
  text.tokens.insert(text.tokens.end(), made.completion.begin(), made.completion.end());
  return text;
}

}  // namespace

Json text_record(const std::string& text) { return parse_json(dump(Json::object({{"text", text}})), "text"); }

ScoredText scored_text_from_json(const Json& record, const SpanBuilder& spans, Specials specials, bool ends) {
  ScoredText text = text_from_json(record, spans, specials, ends);
  if (text.tokens.empty()) record.fail_here("there are no tokens to score");
  return text;
}

const Json& given_prompt(const Json& record) {
  const Words words = prompt_from_json(record).words;  // refuses what is neither
  Words whole = words;
  add_system(record, whole);
  if (whole != words || !tools_of(record, words).is_null())
    record.fail_here(
        "\"system\" and \"tools\" beside messages are not read here: put the system message first");
  const Json* prompt = given(record, "prompt");
  return prompt != nullptr ? *prompt : record.at("messages");
}

std::vector<std::int32_t> prompt_tokens_from_json(const Json& prompt, const SpanBuilder& spans,
                                                  Specials specials, bool chat) {
  if (prompt.is_array()) return open_chat_from_json(prompt, spans).ids;
  const auto ids = placed_at(prompt, [&] {
    const std::vector<Message> question = {{"user", prompt.as_string()}};
    if (chat) return spans.chat(question, {.add_generation_prompt = true}).ids;
    return spans.text(prompt.as_string(), specials).ids;
  });
  if (ids.empty())
    prompt.fail_here("there are no tokens to continue, and the tokenizer puts no BOS before a text");
  return ids;
}

Json converted_from_json(const Json& record, const SpanBuilder& spans, Specials specials,
                         bool add_generation_prompt) {
  const Tokenizer& tokenizer = spans.tokenizer();
  if (const Json* list = given(record, "ids")) {
    const auto ids = ids_from_json(*list, tokenizer);
    return Json::object({{"text", placed_at(record, [&] { return tokenizer.decode(ids); })}});
  }
  if (const Json* messages = given(record, "messages")) {
    const auto chat =
        conversation(record, *messages, spans, {.add_generation_prompt = add_generation_prompt});
    std::vector<std::string> roles;
    for (const Role role : chat.roles) roles.push_back(role_name(role));
    return Json::object(
        {{"ids", list_to_json(chat.ids)}, {"text", chat.text}, {"roles", list_to_json(roles)}});
  }
  const Json* found = given(record, "text");
  if (found == nullptr) of_no_form(record, "{text}, {messages} and {ids}");
  const std::string text = text_of(record, *found);
  const auto ids = placed_at(record, [&] { return tokenizer.encode(text, specials); });
  return Json::object({{"ids", list_to_json(ids)}});
}

}  // namespace prefer
