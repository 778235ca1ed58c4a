// tokenize: text or messages to token ids, and ids back to text, one JSON line each.
#include "prefer/prefer.hpp"

#include <iostream>

struct TokenizeConfig {
  std::string model, input;
  bool specials = true;
  bool add_generation_prompt = false;

  void describe(prefer::Fields& f) {
    f("model", model, "Hugging Face folder, .gguf, tokenizer.json or .model", prefer::required());
    f("input", input, "JSONL of {text}, {messages} or {ids}", prefer::required());
    f("specials", specials,
      "special tokens spelled in a text become their ids; never in a message's content");
    f("add_generation_prompt", add_generation_prompt, "end messages with the opening of an assistant's turn");
  }
};

prefer::Json list(const auto& items, auto&& each) {
  prefer::Json result = prefer::Json::array();
  for (const auto& item : items) result.push(each(item));
  return result;
}

prefer::Json convert(const prefer::Json& record, const prefer::SpanBuilder& spans,
                     const TokenizeConfig& config) {
  const prefer::Tokenizer& tokenizer = spans.tokenizer();
  const auto id_of = [](int32_t id) { return prefer::Json(id); };
  if (const prefer::Json* ids = record.find("ids")) {
    return prefer::Json::object({{"text", tokenizer.decode(prefer::ids_from_json(*ids, tokenizer))}});
  }
  if (const prefer::Json* messages = record.find("messages")) {
    const auto chat =
        prefer::chat_from_json(*messages, spans, {.add_generation_prompt = config.add_generation_prompt});
    return prefer::Json::object(
        {{"ids", list(chat.ids, id_of)}, {"text", chat.text}, {"roles", list(chat.roles, [](prefer::Role r) {
                                                                 return prefer::Json(prefer::role_name(r));
                                                               })}});
  }
  const auto specials = config.specials ? prefer::Specials::recognise : prefer::Specials::plain;
  return prefer::Json::object(
      {{"ids", list(tokenizer.encode(record.at("text").as_string(), specials), id_of)}});
}

int main(int argc, char** argv) {
  return prefer::run_program<TokenizeConfig>(argc, argv, [](const TokenizeConfig& config) {
    prefer::PosixFs fs;
    const prefer::SpanBuilder spans(prefer::load_tokenizer(config.model));
    prefer::LineReader lines(fs, config.input);
    for (prefer::Line line; lines.next(line);)
      std::cout << dump(convert(lines.record(line), spans, config)) << '\n';
  });
}
