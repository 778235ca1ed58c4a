// Prompts without answers, as a model sees them and as a person reads them.
#pragma once

#include "prefer/data/preference.hpp"
#include "prefer/text/spans.hpp"

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

namespace prefer {

/// What a record holds besides, where that is nothing.
inline const std::shared_ptr<const Json> kNothingElse = std::make_shared<const Json>(Json::object());

/// A prompt as the model reads it, and its record.
struct Question {
  std::vector<std::int32_t> tokens = {};
  std::string text = {};     ///< the prompt, or what the last message says
  std::uint64_t record = 0;  ///< of the RandomKey of what is drawn for it; its place in the file
  std::string place = {};    ///< "file:line:column" of its record, where it is from a file
  /// The end token that the chat template writes after an answer, and what it writes behind that; none for
  /// plain texts.
  std::vector<std::int32_t> tail = {};
  /// What else its record holds, for rewards that look at it (a right answer, say): an object without prompt
  /// and answers; without members where there is nothing. Of a conversation "messages", all that the model is
  /// asked, the system message too.
  std::shared_ptr<const Json> others = kNothingElse;
};

/// How records of prompts are read.
struct QuestionOptions {
  OnBad on_bad = OnBad::stop;
  Specials specials = Specials::plain;  ///< whether plain prompts may spell control tokens
};

/// A file of {prompt} or {messages} a line; answers in it are left alone, the last ones of {messages} too, so
/// that files of pairs and of conversations will do. "system" and "tools" are as for pairs (preference.hpp).
/// Messages go through the chat template and end with the opening of an assistant's turn, or, of a {prompt}
/// that ends with the assistant's, with that message. Bad records, such as the template refuses too, stop
/// with their place, or are skipped and counted.
std::vector<Question> load_questions(Fs& fs, const std::string& path, const SpanBuilder& spans,
                                     const QuestionOptions& options, Skipped& skipped);

/// Plain texts to go on from.
std::vector<Question> as_questions(std::span<const std::string> texts, const SpanBuilder& spans);

/// SHA-256 of their tokens and of what else their records hold, in order.
std::string fingerprint(std::span<const Question> questions);

}  // namespace prefer
