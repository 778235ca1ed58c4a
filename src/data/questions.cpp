// Reads prompts and encodes them.
#include "prefer/data/questions.hpp"

#include "prefer/core/sha256.hpp"

namespace prefer {

std::vector<Question> load_questions(Fs& fs, const std::string& path, const SpanBuilder& spans, OnBad on_bad,
                                     Skipped& skipped) {
  std::vector<Question> questions;
  for (const PromptRecord& record : read_prompts(fs, path, on_bad, skipped)) {
    const auto* text = std::get_if<std::string>(&record.words);
    Question question;
    if (text) {
      question = {spans.text(*text).ids, *text};
    } else {
      const auto& messages = std::get<std::vector<Message>>(record.words);
      question = {spans.chat(messages, {.add_generation_prompt = true}).ids, messages.back().content};
    }
    if (question.tokens.empty()) {
      if (on_bad == OnBad::stop) throw BadRecord(record.place, "the prompt is empty");
      skipped.add("the prompt is empty", record.place);
      continue;
    }
    question.record = questions.size();
    question.place = record.place;
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
    hash.add("|");
  }
  return hash.hex();
}

}  // namespace prefer
