// Reads prompts and encodes them.
#include "prefer/data/questions.hpp"

#include "prefer/core/sha256.hpp"

#include <optional>

namespace prefer {
namespace {

/// What the template writes from an answer's end token on: a line's end behind it, often.
std::vector<std::int32_t> tail_after(const std::vector<Message>& messages, const SpanBuilder& spans) {
  const Message reply{"assistant", "."};
  const TokenisedCompletion made = spans.answer(messages, std::span(&reply, 1));
  if (made.end == 0) return {};
  return {made.completion.begin() + static_cast<std::ptrdiff_t>(made.end) - 1, made.completion.end()};
}

}  // namespace

std::vector<Question> load_questions(Fs& fs, const std::string& path, const SpanBuilder& spans, OnBad on_bad,
                                     Skipped& skipped, Specials specials) {
  std::vector<Question> questions;
  std::optional<std::vector<std::int32_t>> tail;  // one template writes all
  for (const PromptRecord& record : read_prompts(fs, path, on_bad, skipped)) {
    const auto* text = std::get_if<std::string>(&record.words);
    Question question;
    if (text) {
      question = {spans.text(*text, specials).ids, *text};
    } else {
      const auto& messages = std::get<std::vector<Message>>(record.words);
      question = {spans.chat(messages, {.add_generation_prompt = true}).ids, messages.back().content};
      if (!tail) tail = tail_after(messages, spans);
      question.tail = *tail;
    }
    if (question.tokens.empty()) {
      if (on_bad == OnBad::stop) throw BadRecord(record.place, "the prompt is empty");
      skipped.add("the prompt is empty", record.place);
      continue;
    }
    question.record = questions.size();
    question.place = record.place;
    if (record.others.size() > 0) question.others = std::make_shared<const Json>(record.others);
    questions.push_back(std::move(question));
  }
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
    if (question.others->size() > 0) hash.add(dump(*question.others));
    hash.add("|");
  }
  return hash.hex();
}

}  // namespace prefer
