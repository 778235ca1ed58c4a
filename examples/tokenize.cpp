// tokenize: text or messages to token ids, and ids back to text, one JSON line each.
#include "prefer/prefer.hpp"

#include <iostream>

using namespace prefer;

struct TokenizeConfig {
  std::string model;
  std::optional<std::string> text, input;
  bool specials = true;
  bool add_generation_prompt = false;
  TemplateConfig chat_template;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder, .gguf, tokenizer.json or .model", required());
    f("text", text, "a text", free_text());
    f("input", input, "records {text}, {messages} or {ids}, instead; - reads the standard input", path());
    f("specials", specials,
      "special tokens spelled in a text become their ids; never in a message's content");
    f("add_generation_prompt", add_generation_prompt, "end messages with the opening of an assistant's turn");
    chat_template.describe(f);
    process.describe(f);
  }
  void check() const {
    if (text.has_value() == input.has_value()) fail("tokenize wants one of text=TEXT and input=FILE.jsonl");
  }
};

int main(int argc, char** argv) {
  return run_program<TokenizeConfig>(argc, argv, [](const TokenizeConfig& config) {
    Process process(config.process);
    const SpanBuilder spans(load_tokenizer(config.model), config.chat_template);
    const auto print = [&](const Json& record) {
      const Specials specials = specials_if(config.specials);
      std::cout << dump(converted_from_json(record, spans, specials, config.add_generation_prompt)) << '\n';
    };
    if (config.text) return print(text_record(*config.text));
    Skipped skipped;
    read_records(process.fs(), *config.input, OnBad::stop, skipped, print);
    process.say_skipped(*config.input, skipped);
  });
}
