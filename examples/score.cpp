// score: the log-probability of every token of given texts, or the reward that a reward model gives each, one
// JSON line each.
#include "prefer/prefer.hpp"

#include <algorithm>
#include <iostream>

using namespace prefer;

struct ScoreConfig {
  std::string model, dtype = "float32";
  std::optional<std::string> text, input;
  bool specials = true;
  TemplateConfig chat_template;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder, of a language model or a reward model, or .gguf", required());
    f("text", text, "a text", free_text());
    f("input", input,
      "records {text}, {tokens}, {messages} or {prompt, completion}, instead; - reads the standard input",
      path());
    f("specials", specials, "special tokens spelled in a text become their ids");
    chat_template.describe(f);
    f("dtype", dtype, "number type to compute in", dtype_rule());
    process.describe(f);
  }
  void check() const {
    if (text.has_value() == input.has_value()) fail("score wants one of text=TEXT and input=FILE.jsonl");
  }
  std::string what() const { return input.value_or("text"); }
};

/// The text, or those of the file, each of at least one token. With `ends`, EOS ends completions that are
/// texts.
std::vector<ScoredText> read_texts(const ScoreConfig& config, Process& process, const SpanBuilder& spans,
                                   bool ends) {
  std::vector<ScoredText> texts;
  const Specials specials = specials_if(config.specials);
  if (config.text) return {scored_text_from_json(text_record(*config.text), spans, specials, ends)};
  Skipped skipped;
  read_records(process.fs(), *config.input, OnBad::stop, skipped, [&](const Json& record) {
    texts.push_back(scored_text_from_json(record, spans, specials, ends));
  });
  process.say_skipped(*config.input, skipped);
  if (texts.empty()) process.say(*config.input + ": there is no text");
  return texts;
}

/// What the model cannot read is refused; what it never learnt to read is said.
void check(const std::vector<ScoredText>& texts, const ModelConfig& model, const ScoreConfig& config,
           const Process& process) {
  for (const ScoredText& text : texts)
    check_token(std::ranges::max(text.tokens), config.what(), model, config.model);
  const auto longer = std::ranges::count_if(texts, [&](const ScoredText& text) {
    return static_cast<int64_t>(text.tokens.size()) > model.context;
  });
  if (longer > 0)
    process.say(config.what() + ": longer than the model's context of " + std::to_string(model.context) +
                " tokens, beyond which it never learnt: " + std::to_string(longer));
}

void write(Json line) { std::cout << dump(line) << '\n'; }

void write_rewards(const ScoreConfig& config, Process& process, const std::vector<ScoredText>& texts) {
  const auto model =
      load_reward_model(process.fs(), config.model, {}, dtype_from_name(config.dtype), process.device());
  check(texts, model->config(), config, process);
  std::vector<std::vector<int32_t>> tokens;
  for (const ScoredText& text : texts) tokens.push_back(text.tokens);
  const std::vector<float> rewards = score_texts(*model, tokens, 4096, process.device());
  for (size_t i = 0; i < texts.size(); ++i)
    write(Json::object({{"tokens", list_to_json(tokens[i])}, {"reward", static_cast<double>(rewards[i])}}));
}

void write_logprobs(const ScoreConfig& config, Process& process, const std::vector<ScoredText>& texts) {
  const auto model = load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
  check(texts, model->config(), config, process);
  std::vector<Sequence> sequences;
  for (const ScoredText& text : texts)
    sequences.push_back({.tokens = text.tokens, .scored = {{1, static_cast<int64_t>(text.tokens.size())}}});
  const auto scores = score_sequences(*model, sequences, 4096, process.device());
  for (size_t i = 0; i < texts.size(); ++i) {
    Json logprobs = Json::array();
    double nll = 0;
    for (size_t t = 0; t < texts[i].tokens.size(); ++t) {
      logprobs.push(t == 0 ? Json() : Json(static_cast<double>(scores[i][t - 1])));  // nothing before it
      if (t > 0 && t >= texts[i].counted) nll -= scores[i][t - 1];
    }
    write(Json::object({{"tokens", list_to_json(texts[i].tokens)}, {"logprobs", logprobs}, {"nll", nll}}));
  }
}

int main(int argc, char** argv, char** envp) {
  return run_program<ScoreConfig>(argc, argv, [&](const ScoreConfig& config) {
    Process process(config.process, environment(envp));
    process.wants_one_rank("score");
    const SpanBuilder spans(load_tokenizer(process.fs(), config.model), config.chat_template);
    const bool rewards = is_reward_model(process.fs(), config.model);
    // A reward model was trained on answers that end.
    const std::vector<ScoredText> texts = read_texts(config, process, spans, /*ends=*/rewards);
    if (rewards) {
      write_rewards(config, process, texts);
    } else {
      write_logprobs(config, process, texts);
    }
  });
}
