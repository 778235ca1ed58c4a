// generate: continues texts or answers chats, one JSON line for each continuation.
#include "prefer/prefer.hpp"

#include <iostream>

struct GenerateConfig {
  std::string model, dtype = "float32";
  std::optional<std::string> prompt, input;
  bool chat = false, specials = true;
  int64_t seed = 0;
  prefer::GenerateOptions options;
  prefer::ProcessConfig process;

  void describe(prefer::Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", prefer::required());
    f("prompt", prompt, "text to continue; empty: from BOS");
    f("input", input, "JSONL of {prompt} or {messages}, instead of `prompt`");
    f("chat", chat, "a prompt is a user's message, and the chat template is applied to it");
    f("specials", specials,
      "special tokens spelled in a prompt become their ids; never in a message's content");
    options.describe(f);
    f("seed", seed, "of the draws", prefer::non_negative());
    f("dtype", dtype, "number type to compute in", prefer::dtype_rule());
    process.describe(f);
  }
  void check() const {
    if (prompt.has_value() == input.has_value())
      prefer::fail("generate wants one of prompt=TEXT and input=FILE.jsonl");
  }
};

/// What a model is given to continue: a text, or a conversation opened for the assistant's turn.
std::vector<int32_t> tokens_of(const prefer::Json& asked, const prefer::SpanBuilder& spans,
                               const GenerateConfig& config) {
  std::vector<int32_t> tokens;
  if (asked.is_array()) {
    tokens = prefer::open_chat_from_json(asked, spans).ids;
  } else if (config.chat) {
    const std::vector<prefer::Message> messages = {{"user", asked.as_string()}};
    tokens = spans.chat(messages, {.add_generation_prompt = true}).ids;
  } else {
    const auto specials = config.specials ? prefer::Specials::recognise : prefer::Specials::plain;
    tokens = spans.text(asked.as_string(), specials).ids;
  }
  if (tokens.empty())
    asked.fail_here("there are no tokens to continue, and the tokenizer puts no BOS before a text");
  return tokens;
}

/// The text of a continuation, with the space or the rest of a character that its first token brings to the
/// prompt's end.
std::string text_of(const std::vector<int32_t>& prompt, const std::vector<int32_t>& completion,
                    const std::shared_ptr<const prefer::Tokenizer>& tokenizer) {
  prefer::StreamDecoder decoder(tokenizer, /*skip_special=*/true);
  for (const int32_t id : prompt) decoder.feed(id);
  std::string text;
  for (const int32_t id : completion) text += decoder.feed(id);
  return text + decoder.flush();
}

int main(int argc, char** argv) {
  return prefer::run_program<GenerateConfig>(argc, argv, [](const GenerateConfig& config) {
    prefer::Process process(config.process);
    const auto tokenizer = prefer::load_tokenizer(config.model);
    const prefer::SpanBuilder spans(tokenizer);
    std::vector<prefer::Json> asked;
    if (config.prompt) asked.push_back(prefer::parse_json(dump(prefer::Json(*config.prompt)), "prompt"));
    if (config.input) {
      prefer::LineReader lines(process.fs(), *config.input);
      for (prefer::Line line; lines.next(line);) {
        const prefer::Json record = lines.record(line);
        asked.push_back(record.contains("messages") ? record.at("messages") : record.at("prompt"));
      }
    }
    std::vector<prefer::Prompt> prompts;
    for (const prefer::Json& each : asked)
      prompts.push_back({tokens_of(each, spans, config), prompts.size()});

    const auto model = prefer::load_model(process.fs(), config.model, prefer::dtype_from_name(config.dtype),
                                          process.device());
    prefer::GenerateOptions options = config.options;
    options.seed = static_cast<uint64_t>(config.seed);
    const auto completions = prefer::generate(*model, prompts, options);
    for (size_t i = 0; i < prompts.size(); ++i) {
      for (const prefer::Completion& completion : completions[i]) {
        prefer::Json tokens = prefer::Json::array(), logprobs = prefer::Json::array();
        for (const int32_t id : completion.tokens) tokens.push(id);
        for (const float logprob : completion.logprobs) logprobs.push(static_cast<double>(logprob));
        std::cout << dump(prefer::Json::object(
                         {{"prompt", asked[i]},
                          {"completion", text_of(prompts[i].tokens, completion.tokens, tokenizer)},
                          {"tokens", tokens},
                          {"logprobs", logprobs}}))
                  << '\n';
      }
    }
  });
}
