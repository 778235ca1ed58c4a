// What programs read before LibTorch has work, in their order: as far as the sanitizers can watch.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/core/lines.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/data/ranking.hpp"
#include "prefer/data/supervised.hpp"
#include "prefer/model/config.hpp"
#include "prefer/text/json.hpp"
#include "src/model/gguf_names.hpp"
#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

inline Json model_json(Fs& fs, const std::string& path) {
  const JsonLimits limits = JsonLimits::model_file();
  return parse_json(read_file(fs, path, limits.max_bytes), path, limits);
}

inline void read_weights(const GgufFile& file) {
  for (const GgufTensor& tensor : file.tensors()) {
    std::vector<float> values(static_cast<std::size_t>(tensor.rows() * tensor.row_elements()));
    file.read_rows(tensor, values);
  }
}
inline void read_weights(const SafetensorsFile& file) {
  for (const StoredTensor& tensor : file.tensors()) {
    std::vector<std::byte> bytes(tensor.bytes);
    file.read(tensor, bytes);
  }
}

/// The config of a model and its weights, whatever their names and shapes.
inline void read_model(Fs& fs, const std::string& path) {
  if (is_gguf(fs, path)) {
    const GgufFile file(fs, path);
    gguf::read_config(file);
    return read_weights(file);
  }
  ModelConfig config = read_model_config(model_json(fs, join_path(path, "config.json")));
  if (const std::string more = join_path(path, "generation_config.json"); fs.exists(more))
    read_generation_config(model_json(fs, more), config);
  const SafetensorsFolder files(fs, path);
  for (const auto& [name, found] : files.tensors()) {
    std::vector<std::byte> bytes(found.tensor->bytes);
    found.file->read(*found.tensor, bytes);
  }
}

inline void tokenize_record(const Json& record, const SpanBuilder& spans) {
  const Tokenizer& tokenizer = spans.tokenizer();
  if (const Json* ids = record.find("ids")) {
    const auto given = ids_from_json(*ids, tokenizer);
    placed_at(record, [&] { return tokenizer.decode(given); });
  } else if (const Json* messages = record.find("messages")) {
    chat_from_json(*messages, spans, {});
  } else {
    const std::string& text = record.at("text").as_string();
    placed_at(record, [&] { return tokenizer.encode(text, Specials::recognise); });
  }
}

inline void score_record(const Json& record, const SpanBuilder& spans) {
  const auto tokens = [&]() -> std::vector<std::int32_t> {
    if (const Json* ids = record.find("tokens")) return ids_from_json(*ids, spans.tokenizer());
    if (!record.contains("prompt")) return spans.text(record.at("text").as_string()).ids;
    return spans
        .answer(record.at("prompt").as_string(), record.at("completion").as_string(), Specials::recognise,
                false)
        .completion;
  }();
  if (tokens.empty()) record.fail_here("there are no tokens to score");
}

inline void generate_record(const Json& record, const SpanBuilder& spans) {
  const PromptRecord prompt = prompt_from_json(record);
  if (const auto* text = std::get_if<std::string>(&prompt.words))
    spans.text(*text);
  else
    open_chat_from_json(record.contains("prompt") ? record.at("prompt") : record.at("messages"), spans);
}

/// The part of a run of `program` that needs no LibTorch.
inline void read_as(const std::string& program, const std::vector<std::string>& command) {
  std::vector<const char*> words = {program.c_str()};
  for (const std::string& word : command) words.push_back(word.c_str());
  const Arguments arguments = parse_arguments(static_cast<int>(words.size()), words.data());
  Overrides lengths;
  for (const auto& [key, value] : arguments.overrides)
    if (key == "max_length" || key == "truncation" || key == "append_eos" || key == "loss_on")
      lengths[key] = value;
  const auto options_of = [&]<class Options>() {
    return read_config<Options>(read_config_file(arguments.config), lengths, arguments.config);
  };
  const auto learn =
      program == "sft" ? options_of.template operator()<SupervisedOptions>() : SupervisedOptions();
  const LengthOptions options =
      program == "sft" ? learn.length : options_of.template operator()<LengthOptions>();
  PosixFs fs;
  const std::string model = arguments.overrides.at("model");
  const SpanBuilder spans(load_tokenizer(model));
  if (program == "sft") {
    load_demonstrations(fs, arguments.overrides.at("train"), spans, learn, OnBad::stop);
    return;
  }
  if (program == "dpo" || program == "reward") {
    const std::string& pairs = arguments.overrides.at("train");
    if (arguments.overrides.contains("loss.name"))
      return check_trainable(load_rankings(fs, pairs, spans, options, OnBad::stop), options, pairs);
    check_trainable(load_preferences(fs, pairs, spans, options, OnBad::stop), options, pairs);
    return;
  }
  const auto record = program == "tokenize" ? tokenize_record
                      : program == "score"  ? score_record
                                            : generate_record;
  LineReader lines(fs, arguments.overrides.at("input"));
  for (Line line; lines.next(line);) record(lines.record(line), spans);
  if (program != "tokenize") read_model(fs, model);
}

}  // namespace prefer::testing
