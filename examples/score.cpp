// score: the log-probability of every token of given texts, one JSON line each.
#include "prefer/prefer.hpp"

#include <algorithm>
#include <iostream>

using namespace prefer;

struct ScoreConfig {
  std::string model, input, dtype = "float32";
  bool specials = true;
  ProcessConfig process;

  void describe(Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", required());
    f("input", input, "JSONL of {text}, {tokens} or {prompt, completion}", required());
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

Text read(const Json& record, const SpanBuilder& spans, Specials specials) {
  if (const Json* tokens = record.find("tokens")) return {ids_from_json(*tokens, spans.tokenizer()), 0};
  if (!record.contains("prompt")) {
    const std::string& text = record.at("text").as_string();
    return {placed_at(record, [&] { return spans.text(text, specials).ids; }), 0};
  }
  const std::string &prompt = record.at("prompt").as_string(), &said = record.at("completion").as_string();
  const auto answer = placed_at(record, [&] { return spans.answer(prompt, said, specials, /*ends=*/false); });
  std::vector<int32_t> tokens = answer.prompt;
  tokens.insert(tokens.end(), answer.completion.begin(), answer.completion.end());
  return {tokens, answer.prompt.size()};
}

int main(int argc, char** argv) {
  return run_program<ScoreConfig>(argc, argv, [](const ScoreConfig& config) {
    Process process(config.process);
    const SpanBuilder spans(load_tokenizer(config.model));
    const auto specials = config.specials ? Specials::recognise : Specials::plain;
    std::vector<Text> texts;
    std::vector<Sequence> sequences;
    LineReader lines(process.fs(), config.input);
    for (Line line; lines.next(line);) {
      const Json record = lines.record(line);
      texts.push_back(read(record, spans, specials));
      const auto size = static_cast<int64_t>(texts.back().tokens.size());
      if (size == 0) record.fail_here("there are no tokens to score");
      sequences.push_back({.tokens = texts.back().tokens, .scored = {{1, size}}});
    }
    process.say_skipped(config.input, {.blank_lines = lines.blank_lines()});

    const auto model =
        load_model(process.fs(), config.model, dtype_from_name(config.dtype), process.device());
    for (const Text& text : texts)
      check_token(std::ranges::max(text.tokens), config.input, model->config(), config.model);
    const int64_t context = model->config().context;
    const auto longer = std::ranges::count_if(
        texts, [&](const Text& text) { return static_cast<int64_t>(text.tokens.size()) > context; });
    if (longer > 0)
      process.say(config.input + ": longer than the model's context of " + std::to_string(context) +
                  " tokens, beyond which it never learnt: " + std::to_string(longer));
    const auto scores = score_sequences(*model, sequences, 4096, process.device());
    for (size_t i = 0; i < texts.size(); ++i) {
      Json logprobs = Json::array();
      double nll = 0;
      for (size_t t = 0; t < texts[i].tokens.size(); ++t) {
        logprobs.push(t == 0 ? Json() : Json(static_cast<double>(scores[i][t - 1])));  // nothing before it
        if (t > 0 && t >= texts[i].counted) nll -= scores[i][t - 1];
      }
      std::cout << dump(Json::object(
                       {{"tokens", list_to_json(texts[i].tokens)}, {"logprobs", logprobs}, {"nll", nll}}))
                << '\n';
    }
  });
}
