// Preference records as people wrote them: a prompt, the answer that was chosen and the one that was
// rejected.
//
// Forms: {prompt, chosen, rejected}; {chosen, rejected} with the prompt inside both (the implicit prompt, by
// TRL's rule); HH-RLHF's "\n\nHuman: ...\n\nAssistant: ..." texts (Bai et al. 2022, arXiv 2204.05862). Each
// of the three is a text or a list of messages. Optional, in the record or in its "metadata": the
// numbers score_chosen, score_rejected and margin (what is no number counts as not given), and the text
// subset or category. Beside messages also, in the record: "system", a text, their first message; "tools", a
// list or its JSON text, for the chat template.
#pragma once

#include "prefer/data/records.hpp"
#include "prefer/text/messages.hpp"

#include <limits>
#include <string>
#include <variant>
#include <vector>

namespace prefer {

/// A text, or messages.
using Words = std::variant<std::string, std::vector<Message>>;

struct Preference {
  static constexpr double kNotGiven = std::numeric_limits<double>::quiet_NaN();
  Words prompt = {}, chosen = {}, rejected = {};  ///< all texts or all messages
  double score_chosen = kNotGiven;
  double score_rejected = kNotGiven;
  double margin = kNotGiven;
  std::string place = {};   ///< "file:line:column" of the record
  std::string subset = {};  ///< which part of the data the record is of, or empty
  Json tools = {};          ///< for the chat template
  bool is_chat() const { return prompt.index() == 1; }
};

/// Whether texts that are HH-RLHF dialogues become messages. Do so where the tokenizer has a chat template.
enum class Dialogues { as_text, as_messages };

/// Throws BadRecord or Error, with the place, for a record of another form, an empty answer, answers that are
/// equal, messages whose answer does not end with the assistant's, answers that are a conversation with
/// another prompt, and a "system" that no message would show.
Preference preference_from_json(const Json& record, Dialogues dialogues);

/// All preferences of a file (JSONL, JSONL.gz, JSON array).
std::vector<Preference> read_preferences(Fs& fs, const std::string& path, OnBad on_bad, Dialogues dialogues,
                                         Skipped& skipped);

/// A dialogue "\n\nHuman: q\n\nAssistant: a ..." as messages; empty when the text is none.
std::vector<Message> messages_from_dialogue(std::string_view text);

/// A record that only asks: {prompt} (a text or messages) or {messages}.
struct PromptRecord {
  Words words = {};
  std::string place = {};
  Json others = Json::object();  ///< what else the record holds, answers left out
};
PromptRecord prompt_from_json(const Json& record);

}  // namespace prefer
