// Demonstrations as people wrote them: what a model shall learn to say.
//
// Forms, known by their keys: {prompt, completion}, texts or lists of messages; {messages}, and ShareGPT's
// {conversations}, lists of {role, content} or of {from, value}; Alpaca's {instruction, output}, with "input"
// and "history" where it has them (Taori et al. 2023); {text}. Beside messages: "system", a text, is their
// first message; "tools", a list or its JSON text, goes to the chat template.
#pragma once

#include "prefer/data/preference.hpp"

#include <string>
#include <vector>

namespace prefer {

struct Demonstration {
  Words prompt = {};      ///< nothing where `whole`
  Words completion = {};  ///< a text like the prompt, or messages like it
  bool whole = false;     ///< a conversation or a text in which no part is set apart as the prompt
  Json tools = {};
  std::string place = {};  ///< "file:line:column" of the record
  bool is_chat() const { return completion.index() == 1; }
};

/// What Alpaca's records become: messages, or texts in the form that Alpaca was trained on. The first where
/// the tokenizer has a chat template.
enum class Instructions { as_text, as_messages };

/// Throws BadRecord or Error, with the place, for a record of no known form, an empty completion, a
/// completion of messages that does not end with the assistant's or is a conversation with another prompt,
/// and a "system" that no message would show.
Demonstration demonstration_from_json(const Json& record, Instructions instructions);

/// An answer after its prompt that someone called good, or bad.
struct JudgedAnswer {
  Demonstration answer = {};
  bool good = false;
};

/// {prompt, completion, label}, {instruction, output, label}, or {messages, label} and {conversations,
/// label}, whose last message was judged; `label` true or false. Throws as demonstration_from_json does.
JudgedAnswer judged_from_json(const Json& record, Instructions instructions);

}  // namespace prefer
