// The tokenizer inside a GGUF: its metadata are written as tokenizer.json and tokenizer_config.json, and
// those are read.
#include "prefer/core/error.hpp"
#include "prefer/core/gguf.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_parts.hpp"

#include <algorithm>
#include <limits>
#include <string_view>
#include <utility>

namespace prefer::text {
namespace {

// Numbers of tokenizer.ggml.token_type.
enum TokenType : std::int64_t {
  kNormal = 1,
  kUnknown = 2,
  kControl = 3,
  kUserDefined = 4,
  kUnused = 5,
  kByte = 6
};

// Llama 3 (Meta 2024), and Qwen 2 (Alibaba 2024), which takes digits one by one.
constexpr const char* kLlama3Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";
constexpr const char* kQwen2Pattern =
    R"((?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+)";

struct Metadata {
  std::string model, pre;
  std::vector<std::string_view> tokens;
  std::vector<std::int64_t> types;
  std::vector<float> scores;
  std::vector<std::string_view> merges;

  bool is(std::size_t id, std::initializer_list<TokenType> wanted) const {
    return std::ranges::find(wanted, types[id]) != wanted.end();
  }
};

Json object(std::initializer_list<std::pair<const char*, Json>> members) {
  Json json = Json::object();
  for (const auto& [key, value] : members) json.set(key, value);
  return json;
}

Json sequence(const char* key, Json::Array steps) {
  return object({{"type", "Sequence"}, {key, Json::array(std::move(steps))}});
}

Json split(const char* expression) {
  return object({{"type", "Split"},
                 {"pattern", object({{"Regex", expression}})},
                 {"behavior", "Isolated"},
                 {"invert", false}});
}

Json byte_level(bool use_regex) {
  return object(
      {{"type", "ByteLevel"}, {"add_prefix_space", false}, {"trim_offsets", true}, {"use_regex", use_regex}});
}

Json pre_tokenizer(const std::string& pre) {
  if (pre == "gpt-2") return byte_level(true);
  if (pre == "smollm")
    return sequence("pretokenizers",
                    {object({{"type", "Digits"}, {"individual_digits", true}}), byte_level(true)});
  if (pre == "llama-bpe") return sequence("pretokenizers", {split(kLlama3Pattern), byte_level(false)});
  if (pre == "qwen2") return sequence("pretokenizers", {split(kQwen2Pattern), byte_level(false)});
  if (pre == "default")
    return sequence("pretokenizers", {split(R"([\p{P}\$\+<=>\^~\|]+)"), split(kGpt2Pattern),
                                      split(R"(\p{N}+)"), split("[0-9][0-9][0-9]"), byte_level(false)});
  fail("tokenizer.ggml.pre is ", quote(pre), "; allowed are gpt-2, smollm, llama-bpe, qwen2, default");
}

Metadata read_metadata(const GgufFile& file) {
  Metadata data{.model = file.text("tokenizer.ggml.model"),
                .pre = file.text("tokenizer.ggml.pre", "default"),
                .tokens = file.texts("tokenizer.ggml.tokens"),
                .types = file.integers("tokenizer.ggml.token_type"),
                .scores = file.numbers("tokenizer.ggml.scores"),
                .merges = file.texts("tokenizer.ggml.merges")};
  const std::size_t size = data.tokens.size();
  if (size == 0 || size > kMaxVocabulary)
    fail("tokenizer.ggml.tokens has ", size, " tokens; from 1 to ", kMaxVocabulary, " are allowed");
  if (data.merges.size() > kMaxMerges)
    fail("tokenizer.ggml.merges has ", data.merges.size(), " merges; at most ", kMaxMerges, " are allowed");
  if (data.types.empty()) data.types.assign(size, kNormal);
  if (data.types.size() != size)
    fail("tokenizer.ggml.token_type has ", data.types.size(), " items for ", size, " tokens");
  if (data.model == "llama" && data.scores.size() != size)
    fail("tokenizer.ggml.scores has ", data.scores.size(), " items for ", size, " tokens");
  for (const auto& texts : {data.tokens, data.merges})
    for (std::size_t i = 0; i < texts.size(); ++i)
      if (!utf8::is_valid(texts[i])) fail("tokenizer.ggml: token or merge ", i, " is not UTF-8");
  return data;
}

Json added_tokens(const Metadata& data) {
  Json tokens = Json::array();
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (!data.is(id, {kUnknown, kControl, kUserDefined})) continue;
    tokens.push(object({{"id", id},
                        {"content", data.tokens[id]},
                        {"single_word", false},
                        {"lstrip", false},
                        {"rstrip", false},
                        {"normalized", false},
                        {"special", !data.is(id, {kUserDefined})}}));
  }
  return tokens;
}

Json vocabulary(const Metadata& data) {
  Json vocab = Json::object();
  vocab.as_object().reserve(data.tokens.size());
  for (std::size_t id = 0; id < data.tokens.size(); ++id)
    vocab.as_object().emplace_back(std::string(data.tokens[id]), Json(id));
  return vocab;
}

Json byte_level_tokenizer(const Metadata& data) {
  Json merges = Json::array();
  for (const std::string_view merge : data.merges) merges.push(merge);
  return object({{"normalizer", data.pre == "qwen2" ? object({{"type", "NFC"}}) : Json()},
                 {"pre_tokenizer", pre_tokenizer(data.pre)},
                 {"decoder", byte_level(true)},
                 {"model", object({{"type", "BPE"},
                                   {"unk_token", Json()},
                                   {"fuse_unk", false},
                                   {"byte_fallback", false},
                                   {"ignore_merges", data.pre == "llama-bpe"},
                                   {"vocab", vocabulary(data)},
                                   {"merges", merges}})}});
}

// SentencePiece says of a piece how good it is, tokenizer.json which two make it: every way to cut a piece in
// two becomes a merge, the best piece first, of the same piece the longest left half first.
Json merges_of_scores(const Metadata& data) {
  struct Cutting {
    float score;
    std::string_view left, right;
  };
  const auto mergeable = [&](std::size_t id) { return data.is(id, {kNormal, kUserDefined, kUnused}); };
  Vocabulary pieces;
  std::size_t looked_at = 0;
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (!mergeable(id)) continue;
    pieces.add(data.tokens[id], static_cast<std::int64_t>(id), "tokenizer.ggml.tokens");
    looked_at += data.tokens[id].size() * data.tokens[id].size();
  }
  if (looked_at > kMaxCutBytes)
    fail("tokenizer.ggml.tokens: the squares of the pieces' lengths add up to ", looked_at,
         " bytes; at most ", kMaxCutBytes, " are allowed");
  std::vector<Cutting> cuttings;
  for (std::size_t id = 0; id < data.tokens.size(); ++id) {
    if (!mergeable(id)) continue;
    const std::string_view piece = data.tokens[id];
    for (std::size_t at = piece.size(); at-- > 1;)
      if (pieces.find(piece.substr(0, at)) && pieces.find(piece.substr(at)))
        cuttings.push_back({data.scores[id], piece.substr(0, at), piece.substr(at)});
  }
  std::ranges::stable_sort(cuttings, [](const Cutting& a, const Cutting& b) { return a.score > b.score; });
  Json merges = Json::array();
  for (const Cutting& cutting : cuttings) merges.push(Json::array({cutting.left, cutting.right}));
  return merges;
}

Json sentencepiece_tokenizer(const Metadata& data, bool space_first, std::optional<std::int64_t> unk) {
  const auto replace = [](const char* from, const char* to) {
    return object({{"type", "Replace"}, {"pattern", object({{"String", from}})}, {"content", to}});
  };
  Json::Array before,
      after = {replace("\u2581", " "), object({{"type", "ByteFallback"}}), object({{"type", "Fuse"}})};
  if (space_first) {
    before.push_back(object({{"type", "Prepend"}, {"prepend", "\u2581"}}));
    after.push_back(object({{"type", "Strip"}, {"content", " "}, {"start", 1}, {"stop", 0}}));
  }
  before.push_back(replace(" ", "\u2581"));
  return object(
      {{"normalizer", sequence("normalizers", std::move(before))},
       {"pre_tokenizer", Json()},
       {"decoder", sequence("decoders", std::move(after))},
       {"model", object({{"type", "BPE"},
                         {"unk_token", unk ? Json(data.tokens[static_cast<std::size_t>(*unk)]) : Json()},
                         {"fuse_unk", true},
                         {"byte_fallback", true},
                         {"ignore_merges", false},
                         {"vocab", vocabulary(data)},
                         {"merges", merges_of_scores(data)}})}});
}

std::optional<std::int64_t> token_id(const GgufFile& file, const Metadata& data, const std::string& key) {
  if (!file.has(key)) return std::nullopt;
  const std::int64_t id = file.integer(key);
  if (id < 0 || id >= static_cast<std::int64_t>(data.tokens.size()))
    fail(key, " is ", id, "; ids are from 0 to ", data.tokens.size() - 1);
  return id;
}

Json tokenizer_config(const GgufFile& file, const Metadata& data) {
  Json config =
      object({{"tokenizer_class", "PreTrainedTokenizerFast"}, {"clean_up_tokenization_spaces", false}});
  const std::pair<const char*, const char*> names[] = {
      {"bos_token", "bos"}, {"eos_token", "eos"}, {"pad_token", "padding"}, {"unk_token", "unknown"}};
  for (const auto& [name, key] : names)
    if (const auto id = token_id(file, data, "tokenizer.ggml." + std::string(key) + "_token_id"))
      config.set(name, data.tokens[static_cast<std::size_t>(*id)]);
  const bool usual = data.model == "llama" || data.pre == "llama-bpe";
  config.set("add_bos_token",
             file.boolean("tokenizer.ggml.add_bos_token", usual) && config.contains("bos_token"));
  if (file.has("tokenizer.chat_template")) config.set("chat_template", file.text("tokenizer.chat_template"));
  return config;
}

// How tokenizer.json says that a text begins with BOS.
Json begins_with(const Json& bos, std::int64_t id) {
  const Json sequence_a = object({{"Sequence", object({{"id", "A"}, {"type_id", 0}})}});
  const Json sequence_b = object({{"Sequence", object({{"id", "B"}, {"type_id", 1}})}});
  const Json special = object({{"SpecialToken", object({{"id", bos}, {"type_id", 0}})}});
  const Json ids = object({{"id", bos}, {"ids", Json::array({id})}, {"tokens", Json::array({bos})}});
  return object({{"type", "TemplateProcessing"},
                 {"single", Json::array({special, sequence_a})},
                 {"pair", Json::array({special, sequence_a, sequence_b})},
                 {"special_tokens", object({{bos.as_string().c_str(), ids}})}});
}

// NaN for what is never made by merging.
std::vector<float> merge_scores(const Metadata& data) {
  std::vector<float> scores = data.scores;
  for (std::size_t id = 0; id < scores.size(); ++id)
    if (!data.is(id, {kNormal, kUserDefined, kUnused})) scores[id] = std::numeric_limits<float>::quiet_NaN();
  return scores;
}

PartsPtr read(const GgufFile& file) {
  const Metadata data = read_metadata(file);
  const bool scored = data.model == "llama";
  if (!scored && data.model != "gpt2")
    fail("tokenizer.ggml.model is ", quote(data.model), "; allowed are gpt2, llama");
  const auto unk = token_id(file, data, "tokenizer.ggml.unknown_token_id");
  Json json = scored
                  ? sentencepiece_tokenizer(data, file.boolean("tokenizer.ggml.add_space_prefix", true), unk)
                  : byte_level_tokenizer(data);
  const Json config = tokenizer_config(file, data);
  json.set("version", "1.0").set("added_tokens", added_tokens(data));
  if (config.at("add_bos_token").as_bool())
    json.set("post_processor",
             begins_with(config.at("bos_token"), *token_id(file, data, "tokenizer.ggml.bos_token_id")));
  PartsPtr parts = read_tokenizer_json(json, "tokenizer");
  apply_config(config, Json::object(), *parts);
  parts->chat_template_name = file.path() + ": tokenizer.chat_template";
  // The scores themselves rather than the merges made of them: the merges agree, but for ties.
  if (scored) {
    std::optional<std::int32_t> unknown_id;
    if (unk) unknown_id = static_cast<std::int32_t>(*unk);
    parts->model = scored_bpe(parts->vocabulary, merge_scores(data), {unknown_id, true, true});
  }
  parts->files = {{"tokenizer.json", dump(json) + "\n"}, {"tokenizer_config.json", dump(config, 2) + "\n"}};
  return parts;
}

}  // namespace

PartsPtr read_tokenizer_gguf(Fs& fs, const std::string& path) {
  const GgufFile file(fs, path);
  try {
    return read(file);
  } catch (const Error& error) {
    std::string_view what = error.what();
    if (what.starts_with(path)) throw;
    constexpr std::string_view kMade = "json: ";  // the place of JSON that stands in no file
    if (what.starts_with(kMade)) what.remove_prefix(kMade.size());
    fail(path, ": ", what);
  }
}

}  // namespace prefer::text
