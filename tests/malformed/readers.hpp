// What programs read before LibTorch has work, in their order: as far as the sanitizers can watch.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/core/lines.hpp"
#include "prefer/core/safetensors.hpp"
#include "prefer/data/inputs.hpp"
#include "prefer/data/ranking.hpp"
#include "prefer/data/supervised.hpp"
#include "prefer/model/config.hpp"
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
  const auto checked = [&](const auto& load, const auto& how) {
    const std::string& train = arguments.overrides.at("train");
    check_trainable(load(fs, train, spans, how, OnBad::stop), options, train);
  };
  if (program == "sft") return checked(load_demonstrations, learn);
  if (program == "kto") return checked(load_judged, options);
  if (program == "dpo" || program == "reward")
    return arguments.overrides.contains("loss.name") ? checked(load_rankings, options)
                                                     : checked(load_preferences, options);
  const auto read = [&](const Json& record) {
    constexpr Specials kAsPrograms = Specials::recognise;
    if (program == "tokenize") {
      converted_from_json(record, spans, kAsPrograms);
    } else if (program == "score") {
      scored_text_from_json(record, spans, kAsPrograms);
    } else {
      prompt_tokens_from_json(given_prompt(record), spans, kAsPrograms);
    }
  };
  Skipped skipped;
  read_records(fs, arguments.overrides.at("input"), OnBad::stop, skipped, read);
  if (program != "tokenize") read_model(fs, model);
}

}  // namespace prefer::testing
