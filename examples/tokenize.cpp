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
    f("input", input, "JSONL of {text}, {messages} or {ids}", required());
    f("specials", specials,
      "special tokens spelled in a text become their ids; never in a message's content");
    f("add_generation_prompt", add_generation_prompt, "end messages with the opening of an assistant's turn");
    process.describe(f);
  }
};

Json convert(const Json& record, const SpanBuilder& spans, const TokenizeConfig& config) {
  const Tokenizer& tokenizer = spans.tokenizer();
  if (const Json* ids = record.find("ids")) {
    const auto given = ids_from_json(*ids, tokenizer);
    return Json::object({{"text", placed_at(record, [&] { return tokenizer.decode(given); })}});
  }
  if (const Json* messages = record.find("messages")) {
    const auto chat =
        chat_from_json(*messages, spans, {.add_generation_prompt = config.add_generation_prompt});
    std::vector<std::string> roles;
    for (const Role role : chat.roles) roles.push_back(role_name(role));
    return Json::object(
        {{"ids", list_to_json(chat.ids)}, {"text", chat.text}, {"roles", list_to_json(roles)}});
  }
  const auto specials = config.specials ? Specials::recognise : Specials::plain;
  const std::string& text = record.at("text").as_string();
  const auto ids = placed_at(record, [&] { return tokenizer.encode(text, specials); });
  return Json::object({{"ids", list_to_json(ids)}});
}

int main(int argc, char** argv) {
  return run_program<TokenizeConfig>(argc, argv, [](const TokenizeConfig& config) {
    Process process(config.process);
    const SpanBuilder spans(load_tokenizer(config.model));
    LineReader lines(process.fs(), config.input);
    for (Line line; lines.next(line);) std::cout << dump(convert(lines.record(line), spans, config)) << '\n';
    process.say_skipped(config.input, {.blank_lines = lines.blank_lines()});
  });
}
