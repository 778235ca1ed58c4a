// generate: continues texts or answers chats, one JSON line for each continuation.
#include "prefer/prefer.hpp"

#include <iostream>

using namespace prefer;

struct GenerateConfig {
  std::string model, dtype = "float32";
  std::optional<std::string> prompt, input;
  bool chat = false, specials = true;
  int64_t seed = 0;
  GenerateOptions options;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", required());
    f("prompt", prompt, "text to continue; empty: from BOS");
    f("input", input, "JSONL of {prompt} or {messages}, instead of `prompt`");
    f("chat", chat, "a prompt is a user's message, and the chat template is applied to it");
    f("specials", specials,
      "special tokens spelled in a prompt become their ids; never in a message's content");
    options.describe(f);
    f("seed", seed, "of the draws", non_negative());
    f("dtype", dtype, "number type to compute in", dtype_rule());
    process.describe(f);
  }
  void check() const {
    if (prompt.has_value() == input.has_value())
      fail("generate wants one of prompt=TEXT and input=FILE.jsonl");
  }
};

/// The prompts, texts or lists of messages, as they were given.
std::vector<Json> prompts_of(const GenerateConfig& config, Process& process) {
  if (config.prompt) return {parse_json(dump(Json(*config.prompt)), "prompt")};
  std::vector<Json> prompts;
  LineReader lines(process.fs(), *config.input);
  for (Line line; lines.next(line);) {
    const Json record = lines.record(line);
    prompts.push_back(record.contains("messages") ? record.at("messages") : record.at("prompt"));
  }
  return prompts;
}

/// What the model is given: a text, or a conversation opened for the assistant's turn.
std::vector<int32_t> tokens_of(const Json& prompt, const SpanBuilder& spans, const GenerateConfig& config) {
  if (prompt.is_array()) return open_chat_from_json(prompt, spans).ids;
  const std::vector<Message> question = {{"user", prompt.as_string()}};
  if (config.chat) return spans.chat(question, {.add_generation_prompt = true}).ids;
  const auto ids =
      spans.text(prompt.as_string(), config.specials ? Specials::recognise : Specials::plain).ids;
  if (ids.empty())
    prompt.fail_here("there are no tokens to continue, and the tokenizer puts no BOS before a text");
  return ids;
}

int main(int argc, char** argv) {
  return run_program<GenerateConfig>(argc, argv, [](GenerateConfig config) {
    Process process(config.process);
    const auto tokenizer = load_tokenizer(config.model);
    const SpanBuilder spans(tokenizer);
    const std::vector<Json> given = prompts_of(config, process);
    std::vector<Prompt> prompts;
    for (const Json& each : given) prompts.push_back({tokens_of(each, spans, config), prompts.size()});

    const auto model =
        load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
    config.options.seed = static_cast<uint64_t>(config.seed);
    const auto completions = generate(*model, prompts, config.options);
    for (size_t i = 0; i < prompts.size(); ++i) {
      for (const Completion& completion : completions[i]) {
        std::cout << dump(Json::object(
                         {{"prompt", given[i]},
                          {"completion", decode_after(tokenizer, prompts[i].tokens, completion.tokens)},
                          {"tokens", list_to_json(completion.tokens)},
                          {"logprobs", list_to_json(completion.logprobs)}}))
                  << '\n';
      }
    }
  });
}
