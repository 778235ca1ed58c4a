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
  TemplateConfig chat_template;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", required());
    f("prompt", prompt, "text to continue; empty: from BOS", free_text());
    f("input", input, "records {prompt} or {messages}, instead of `prompt`; - reads the standard input",
      path());
    f("chat", chat, "a prompt is a user's message, and the chat template is applied to it");
    f("specials", specials,
      "special tokens spelled in a prompt become their ids; never in a message's content");
    chat_template.describe(f);
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
  Skipped skipped;
  read_records(process.fs(), *config.input, OnBad::stop, skipped,
               [&](const Json& record) { prompts.push_back(given_prompt(record)); });
  process.say_skipped(*config.input, skipped);
  if (prompts.empty()) process.say(*config.input + ": there is no prompt");
  return prompts;
}

std::vector<Prompt> encoded(const std::vector<Json>& given, const SpanBuilder& spans,
                            const GenerateConfig& config) {
  std::vector<Prompt> prompts;
  const Specials specials = specials_if(config.specials);
  for (const Json& each : given)
    prompts.push_back({prompt_tokens_from_json(each, spans, specials, config.chat), prompts.size()});
  return prompts;
}

/// Throws Error for what the model has no embedding of, or no room to answer.
void check(const std::vector<Json>& given, const std::vector<Prompt>& prompts, const ModelConfig& model,
           const GenerateConfig& config) {
  for (size_t i = 0; i < prompts.size(); ++i) {
    const std::vector<int32_t>& tokens = prompts[i].tokens;
    check_token(std::ranges::max(tokens), config.input.value_or("prompt"), model, config.model);
    if (static_cast<int64_t>(tokens.size()) >= model.context)
      given[i].fail_here("the prompt has ", tokens.size(), " tokens, and the context of ", config.model,
                         " is ", model.context, ": there is no room for an answer");
  }
}

void print(const Json& prompt, const std::vector<int32_t>& before, const Completion& said,
           const SpanBuilder& spans) {
  std::cout << dump(Json::object({{"prompt", prompt},
                                  {"completion", decode_after(spans.shared_tokenizer(), before, said.tokens)},
                                  {"tokens", list_to_json(said.tokens)},
                                  {"logprobs", list_to_json(said.logprobs)}}))
            << std::endl;
}

int main(int argc, char** argv, char** envp) {
  return run_program<GenerateConfig>(argc, argv, [&](GenerateConfig config) {
    Process process(config.process, environment(envp));
    process.wants_one_rank("generate");
    const auto tokenizer = load_tokenizer(process.fs(), config.model);
    const SpanBuilder spans(tokenizer, config.chat_template);
    const std::vector<Json> given = prompts_of(config, process);
    const std::vector<Prompt> prompts = encoded(given, spans, config);
    const auto model =
        load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
    check(given, prompts, model->config(), config);
    config.options.seed = static_cast<uint64_t>(config.seed);
    std::vector<std::vector<std::optional<Completion>>> said(
        prompts.size(), std::vector<std::optional<Completion>>(static_cast<size_t>(config.options.n)));
    ProgressLine progress("continuations", static_cast<int64_t>(prompts.size()) * config.options.n);
    size_t next = 0;  // the first prompt that is not printed yet: lines come in the prompts' order
    int64_t cut = 0;
    generate(
        *model, prompts, config.options,
        [&, done = int64_t{0}](size_t i, size_t sample, const Completion& c) mutable {
          said[i][sample] = c;
          cut += !c.ended && std::ssize(c.tokens) < config.options.max_new_tokens;
          progress(++done);
          for (; next < said.size() && std::ranges::all_of(said[next], &std::optional<Completion>::has_value);
               ++next) {
            for (const auto& completion : said[next])
              print(given[next], prompts[next].tokens, *completion, spans);
            said[next].clear();
            said[next].shrink_to_fit();
          }
        });
    if (cut > 0)
      process.say("cut at the model's context of " + std::to_string(model->config().context) +
                  " tokens, before max_new_tokens: " + std::to_string(cut) + " of " +
                  std::to_string(std::ssize(prompts) * config.options.n) + " continuations");
  });
}
