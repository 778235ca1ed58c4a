// score: the log-probability of every token of given texts, or the reward that a reward model gives each, one
// JSON line each.
#include "prefer/prefer.hpp"

#include <algorithm>
#include <iostream>

using namespace prefer;

struct ScoreConfig {
  std::string model, input, dtype = "float32";
  bool specials = true;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder, of a language model or a reward model, or .gguf", required());
    f("input", input, "JSONL of {text}, {tokens}, {messages} or {prompt, completion}", required());
    f("specials", specials, "special tokens spelled in a text become their ids");
    f("dtype", dtype, "number type to compute in", dtype_rule());
    process.describe(f);
  }
};

/// The tokens of a record, and from which of them on they count for `nll`.
struct Text {
  std::vector<int32_t> tokens;
  size_t counted = 0;
};

/// An answer to a prompt: texts, or messages.
TokenisedCompletion read_answer(const Json& record, const SpanBuilder& spans, Specials specials) {
  const Json &prompt = record.at("prompt"), &completion = record.at("completion");
  if (prompt.is_array()) {
    const auto asked = messages_from_json(prompt), said = messages_from_json(completion);
    return placed_at(record, [&] { return spans.answer(asked, said); });
  }
  const std::string &asked = prompt.as_string(), &said = completion.as_string();
  return placed_at(record, [&] { return spans.answer(asked, said, specials, /*ends=*/false); });
}

Text read(const Json& record, const SpanBuilder& spans, Specials specials) {
  if (const Json* tokens = record.find("tokens")) return {ids_from_json(*tokens, spans.tokenizer()), 0};
  if (const Json* messages = record.find("messages")) return {chat_from_json(*messages, spans).ids, 0};
  if (!record.contains("prompt")) {
    const std::string& text = record.at("text").as_string();
    return {placed_at(record, [&] { return spans.text(text, specials).ids; }), 0};
  }
  const TokenisedCompletion made = read_answer(record, spans, specials);
  std::vector<int32_t> tokens = made.prompt;
  tokens.insert(tokens.end(), made.completion.begin(), made.completion.end());
  return {tokens, made.prompt.size()};
}

/// The texts of a file, each of at least one token.
std::vector<Text> read_texts(const ScoreConfig& config, Process& process, const SpanBuilder& spans) {
  std::vector<Text> texts;
  LineReader lines(process.fs(), config.input);
  for (Line line; lines.next(line);) {
    const Json record = lines.record(line);
    texts.push_back(read(record, spans, config.specials ? Specials::recognise : Specials::plain));
    if (texts.back().tokens.empty()) record.fail_here("there are no tokens to score");
  }
  process.say_skipped(config.input, {.blank_lines = lines.blank_lines()});
  return texts;
}

/// What the model cannot read is refused; what it never learnt to read is said.
void check(const std::vector<Text>& texts, const ModelConfig& model, const ScoreConfig& config,
           const Process& process) {
  for (const Text& text : texts)
    check_token(std::ranges::max(text.tokens), config.input, model, config.model);
  const auto longer = std::ranges::count_if(
      texts, [&](const Text& text) { return static_cast<int64_t>(text.tokens.size()) > model.context; });
  if (longer > 0)
    process.say(config.input + ": longer than the model's context of " + std::to_string(model.context) +
                " tokens, beyond which it never learnt: " + std::to_string(longer));
}

void write(Json line) { std::cout << dump(line) << '\n'; }

void write_rewards(const ScoreConfig& config, Process& process, const std::vector<Text>& texts) {
  const auto model =
      load_reward_model(process.fs(), config.model, {}, dtype_from_name(config.dtype), process.device());
  check(texts, model->config(), config, process);
  std::vector<std::vector<int32_t>> tokens;
  for (const Text& text : texts) tokens.push_back(text.tokens);
  const std::vector<float> rewards = score_texts(*model, tokens, 4096, process.device());
  for (size_t i = 0; i < texts.size(); ++i)
    write(Json::object({{"tokens", list_to_json(tokens[i])}, {"reward", static_cast<double>(rewards[i])}}));
}

void write_logprobs(const ScoreConfig& config, Process& process, const std::vector<Text>& texts) {
  const auto model = load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
  check(texts, model->config(), config, process);
  std::vector<Sequence> sequences;
  for (const Text& text : texts)
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

int main(int argc, char** argv) {
  return run_program<ScoreConfig>(argc, argv, [](const ScoreConfig& config) {
    Process process(config.process);
    const SpanBuilder spans(load_tokenizer(config.model));
    const std::vector<Text> texts = read_texts(config, process, spans);
    if (is_reward_model(process.fs(), config.model)) {
      write_rewards(config, process, texts);
    } else {
      write_logprobs(config, process, texts);
    }
  });
}
