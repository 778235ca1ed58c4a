// score: the log-probability of every token of given texts, one JSON line each.
#include "prefer/prefer.hpp"

#include <cmath>
#include <iostream>

struct ScoreConfig {
  std::string model, input, dtype = "float32";
  prefer::ProcessConfig process;

  void describe(prefer::Fields& f) {
    f("model", model, "Hugging Face folder or .gguf", prefer::required());
    f("input", input, "JSONL of {text}, {tokens} or {prompt, completion}", prefer::required());
    f("dtype", dtype, "number type to compute in", prefer::dtype_rule());
    process.describe(f);
  }
};

/// The tokens of a record; what is scored is the completion, or all but the first token.
prefer::Sequence read(const prefer::Json& record, const prefer::SpanBuilder& spans) {
  prefer::Sequence s;
  int64_t begin = 1;
  if (const prefer::Json* tokens = record.find("tokens")) {
    for (const prefer::Json& id : tokens->as_array()) {
      if (id.as_integer() < 0 || id.as_integer() >= spans.tokenizer().vocab_size()) {
        id.fail_here("a token id lies in 0..", spans.tokenizer().vocab_size() - 1, ", not ", id.as_integer());
      }
      s.tokens.push_back(static_cast<int32_t>(id.as_integer()));
    }
  } else if (record.contains("prompt")) {
    const auto answer = spans.answer(record.at("prompt").as_string(), record.at("completion").as_string());
    s.tokens = answer.prompt;
    begin = std::max<int64_t>(1, static_cast<int64_t>(s.tokens.size()));
    s.tokens.insert(s.tokens.end(), answer.completion.begin(), answer.completion.end());
  } else {
    s.tokens = spans.text(record.at("text").as_string(), prefer::Specials::recognise).ids;
  }
  if (s.tokens.empty()) record.fail_here("there are no tokens to score");
  s.scored = {{begin, std::max(begin, static_cast<int64_t>(s.tokens.size())), prefer::Term::completion}};
  return s;
}

int main(int argc, char** argv) {
  return prefer::run_program<ScoreConfig>(argc, argv, [](const ScoreConfig& config) {
    prefer::Process process(config.process);
    const auto model = prefer::load_model(process.fs(), config.model, prefer::dtype_from_name(config.dtype), process.device());
    const prefer::SpanBuilder spans(prefer::load_tokenizer(config.model));
    std::vector<prefer::Sequence> sequences;
    prefer::LineReader lines(process.fs(), config.input);
    for (prefer::Line line; lines.next(line);) sequences.push_back(read(lines.record(line), spans));
    const auto scores = prefer::score_sequences(*model, sequences, 4096, process.device());
    for (std::size_t i = 0; i < sequences.size(); ++i) {
      prefer::Json tokens = prefer::Json::array(), logprobs = prefer::Json::array();
      double nll = 0;
      const auto first = sequences[i].scored[0].begin;
      for (int64_t t = 0; const int32_t id : sequences[i].tokens) {
        tokens.push(id);
        logprobs.push(t < first ? prefer::Json() : prefer::Json(static_cast<double>(scores[i][t - first])));
        if (t >= first) nll -= scores[i][t - first];
        ++t;
      }
      std::cout << dump(prefer::Json::object({{"tokens", tokens}, {"logprobs", logprobs}, {"nll", nll}})) << '\n';
    }
  });
}
