// All that a DPO run reads, small enough to be trained on in milliseconds: a model of 23 tokens, its
// tokenizer, pairs.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/model/load.hpp"
#include "support/temp_dir.hpp"
#include "support/tiny_model.hpp"

#include <algorithm>
#include <string>
#include <vector>

namespace prefer::testing {

/// A token for each of the letters a to u, for the space and for the end.
inline std::string tiny_tokenizer() {
  Json vocab = Json::object();
  const std::string letters = "ab_cdefghijklmnopqrstu ";  // id 2 is the end token
  for (std::size_t id = 0; id < letters.size(); ++id) {
    if (id != 2) vocab.set(letters.substr(id, 1), static_cast<int64_t>(id));
  }
  Json tokenizer = parse_json(
      R"({"added_tokens": [{"id": 2, "content": "<e>", "special": true, "normalized": false}],
          "normalizer": null, "pre_tokenizer": null, "post_processor": null, "decoder": {"type": "Fuse"}})",
      "tiny_tokenizer");
  tokenizer.set("model", Json::object({{"type", "BPE"}, {"vocab", vocab}, {"merges", Json::array()}}));
  return dump(tokenizer);
}

/// The folder `model` and the files `pairs` and `prompts`, on the disk.
class TinyRun {
 public:
  TinyRun() {
    PosixFs fs;
    save_model(fs, model, *tiny_model(at::kFloat),
               {{"tokenizer.json", tiny_tokenizer()}, {"tokenizer_config.json", R"({"eos_token": "<e>"})"}});
    std::string lines;
    for (const std::string letter : {"a", "b", "c", "d", "e", "f", "g"}) {
      lines += dump(Json::object({{"prompt", "do " + letter},
                                  {"chosen", " good " + letter},
                                  {"rejected", " bad " + letter + letter}})) +
               "\n";
    }
    write_file_atomically(fs, pairs, lines);
    write_file_atomically(fs, prompts, "{\"prompt\": \"do a\"}\n");
  }

  const TempDir dir;
  const std::string model = dir / "tiny", pairs = dir / "pairs.jsonl", prompts = dir / "prompts.jsonl";
};

/// The step of the newest checkpoint in a run's folder; 0 without one.
inline std::int64_t newest_checkpoint(Fs& fs, const std::string& output) {
  constexpr std::string_view prefix = "checkpoint-";
  std::int64_t newest = 0;
  if (!fs.exists(output)) return newest;
  for (const std::string& name : fs.list(output))
    if (name.starts_with(prefix) && fs.exists(join_path(join_path(output, name), "manifest.json")))
      newest = std::max<std::int64_t>(newest, std::stoll(name.substr(prefix.size())));
  return newest;
}

}  // namespace prefer::testing
