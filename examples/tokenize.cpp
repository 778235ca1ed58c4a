// tokenize: text or messages to token ids, and ids back to text, one JSON line each.
#include "prefer/prefer.hpp"

#include <iostream>

using namespace prefer;

struct TokenizeConfig {
  std::string model, input;
  bool specials = true;
  bool add_generation_prompt = false;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder, .gguf, tokenizer.json or .model", required());
    f("input", input, "JSONL of {text}, {messages} or {ids}; - reads the standard input", required());
    f("specials", specials,
      "special tokens spelled in a text become their ids; never in a message's content");
    f("add_generation_prompt", add_generation_prompt, "end messages with the opening of an assistant's turn");
    process.describe(f);
  }
};

int main(int argc, char** argv) {
  return run_program<TokenizeConfig>(argc, argv, [](const TokenizeConfig& config) {
    Process process(config.process);
    const SpanBuilder spans(load_tokenizer(config.model));
    LineReader lines(process.fs(), config.input);
    const Specials specials = specials_if(config.specials);
    for (Line line; lines.next(line);)
      std::cout << dump(
                       converted_from_json(lines.record(line), spans, specials, config.add_generation_prompt))
                << '\n';
    process.say_skipped(config.input, {.blank_lines = lines.blank_lines()});
  });
}
