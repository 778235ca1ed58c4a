// The small good files that the malformed ones are made from: a model of one layer that knows a few letters.
#pragma once

#include "support/builders.hpp"

#include <map>
#include <string>
#include <vector>

namespace prefer::testing {

using Files = std::map<std::string, std::string>;  ///< path in a folder to bytes

inline const std::vector<std::string> kTokens = {"<s>", "</s>", "a", "b", "c",  "d",  "e", "f",
                                                 "g",   "h",    "Ġ", "Ċ", "ab", "Ġa", "s", "r"};

/// A tokenizer.json of kTokens; `more` are members, each with a comma before it, that stand before the model.
inline std::string tokenizer_json(const std::string& more = "", const std::string& model_more = "") {
  std::string vocab;
  for (std::size_t id = 0; id < kTokens.size(); ++id)
    vocab += (id ? ", \"" : "\"") + kTokens[id] + "\": " + std::to_string(id);
  return R"({"added_tokens": [{"id": 0, "content": "<s>", "special": true}, {"id": 1, "content": "</s>", "special": true}],
"decoder": {"type": "ByteLevel"})" +
         (more.empty() ? R"(,
"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "Replace", "pattern": {"String": "A"}, "content": "a"}]},
"pre_tokenizer": {"type": "Sequence", "pretokenizers": [
  {"type": "Split", "pattern": {"Regex": " ?\\p{L}+|\\s+|[0-9]{1,3}"}, "behavior": "Isolated"},
  {"type": "ByteLevel", "add_prefix_space": false}]})"
                       : more) +
         ",\n\"model\": {\"type\": \"BPE\"" +
         (model_more.empty() ? R"(, "merges": ["a b", ["Ġ", "a"]])" : model_more) + ",\n\"vocab\": {" +
         vocab + "}}}\n";
}

inline const char* const kTemplate =
    R"({%- for m in messages %}
  {%- if loop.first and m.role != 'system' %}{{ '<s>c\n' }}{% endif %}
  {{- '<s>' + m.role + '\n' + (m['content'] | trim) + '</s>' + '\n' }}
{%- endfor %}
{%- if add_generation_prompt %}{{ '<s>assistant\n' }}{% endif %})";

inline const char* const kTokenizerConfig =
    R"({"bos_token": "<s>", "eos_token": {"content": "</s>"}, "add_bos_token": true, "model_max_length": 64})";

/// A config.json; `more` are members, each with a comma before it.
inline std::string config_json(const std::string& more = "") {
  return R"({"model_type": "llama", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 8,
"num_hidden_layers": 1, "num_attention_heads": 2, "num_key_value_heads": 1, "max_position_embeddings": 64,
"rms_norm_eps": 1e-05, "rope_theta": 10000.0, "tie_word_embeddings": true, "eos_token_id": 1)" +
         more + "}\n";
}

/// `text` with `from`, which stands in it, made `to`.
inline std::string with(std::string text, const std::string& from, const std::string& to) {
  return text.replace(text.find(from), from.size(), to);
}

struct Weight {
  std::string name;  ///< of Hugging Face, and of GGUF
  std::string gguf;
  std::vector<std::int64_t> shape;
};
inline std::vector<Weight> weights() {
  const std::string p = "model.layers.0.", g = "blk.0.";
  return {{"model.embed_tokens.weight", "token_embd.weight", {16, 8}},
          {p + "input_layernorm.weight", g + "attn_norm.weight", {8}},
          {p + "self_attn.q_proj.weight", g + "attn_q.weight", {8, 8}},
          {p + "self_attn.k_proj.weight", g + "attn_k.weight", {4, 8}},
          {p + "self_attn.v_proj.weight", g + "attn_v.weight", {4, 8}},
          {p + "self_attn.o_proj.weight", g + "attn_output.weight", {8, 8}},
          {p + "post_attention_layernorm.weight", g + "ffn_norm.weight", {8}},
          {p + "mlp.gate_proj.weight", g + "ffn_gate.weight", {8, 8}},
          {p + "mlp.up_proj.weight", g + "ffn_up.weight", {8, 8}},
          {p + "mlp.down_proj.weight", g + "ffn_down.weight", {8, 8}},
          {"model.norm.weight", "output_norm.weight", {8}}};
}
inline std::int64_t elements(const Weight& weight) {
  std::int64_t n = 1;
  for (const std::int64_t size : weight.shape) n *= size;
  return n;
}

/// The weights as float32, all of them 0.01 or near it.
inline std::string model_safetensors(const std::vector<Weight>& all = weights()) {
  std::string header = "{\"__metadata__\": {\"format\": \"pt\"}", data;
  for (const Weight& weight : all) {
    std::string shape;
    for (const std::int64_t n : weight.shape) shape += (shape.empty() ? "" : ", ") + std::to_string(n);
    const std::size_t begin = data.size();
    for (std::int64_t i = 0; i < elements(weight); ++i)
      data += bytes_of(0.01f + 0.001f * static_cast<float>(i % 7));
    header += ", \"" + weight.name + "\": {\"dtype\": \"F32\", \"shape\": [" + shape +
              "], \"data_offsets\": [" + std::to_string(begin) + ", " + std::to_string(data.size()) + "]}";
  }
  std::string bytes = safetensors(header + "}", 0);
  return bytes + data;
}

/// The same model and tokenizer as a GGUF; `more` keys are written by `extra` behind the others.
inline std::string model_gguf(const Gguf& extra = {}, std::uint64_t more = 0,
                              const std::string& architecture = "llama") {
  std::vector<std::int32_t> types(kTokens.size(), 1);
  types[0] = types[1] = 3;
  Gguf file;
  file.head(weights().size(), 16 + more);
  file.string("general.architecture", architecture);
  for (const auto& [key, value] :
       std::vector<std::pair<std::string, std::uint32_t>>{{"embedding_length", 8},
                                                          {"feed_forward_length", 8},
                                                          {"block_count", 1},
                                                          {"context_length", 64},
                                                          {"attention.head_count", 2},
                                                          {"attention.head_count_kv", 1}})
    file.integer("llama." + key, value);
  file.real("llama.attention.layer_norm_rms_epsilon", 1e-5f);
  file.string("tokenizer.ggml.model", "gpt2").string("tokenizer.ggml.pre", "smollm");
  file.strings("tokenizer.ggml.tokens", kTokens).integers("tokenizer.ggml.token_type", types);
  file.strings("tokenizer.ggml.merges", {"a b", "Ġ a"});
  file.integer("tokenizer.ggml.bos_token_id", 0).integer("tokenizer.ggml.eos_token_id", 1);
  file.string("tokenizer.chat_template", kTemplate);
  file.bytes += extra.bytes;
  std::uint64_t offset = 0;
  for (const Weight& weight : weights()) {
    file.tensor(weight.gguf, {weight.shape.rbegin(), weight.shape.rend()}, 0, offset);
    offset += static_cast<std::uint64_t>((elements(weight) * 4 + 31) / 32 * 32);
  }
  return file.data(offset).bytes;
}

/// A sentencepiece model of letters; `more` fields stand behind the others.
inline std::string tokenizer_model(const std::string& more = "") {
  std::string out = piece("<unk>", 0, 2) + piece("<s>", 0, 3) + piece("</s>", 0, 3);
  for (const char* text : {"▁", "a", "b", "ab", "▁a", "c"}) out += piece(text, -1);
  return out + proto(2, proto(3, 2)) + proto(3, proto(1, "identity") + proto(3, 1)) + more;
}

inline const char* const kPair = R"({"prompt": "a b", "chosen": " c", "rejected": " d"})";

inline const char* const kText = R"({"text": "a b"})";

/// What every case begins with: a model in model/, two pairs, two demonstrations, a lexicon, a text.
inline Files good_files() {
  const std::string pair = kPair;
  return {{"model/config.json", config_json()},
          {"model/tokenizer.json", tokenizer_json()},
          {"model/tokenizer_config.json", kTokenizerConfig},
          {"model/chat_template.jinja", kTemplate},
          {"model/model.safetensors", model_safetensors()},
          {"pairs.jsonl", pair + "\n" + R"({"prompt": "b a", "chosen": " e", "rejected": " f"})" + "\n"},
          {"texts.jsonl", std::string(kText) + "\n" + R"({"prompt": "b a", "completion": " e"})" + "\n"},
          {"lexicon.txt", "a\t1.5\nb\t-1\n"},
          {"in.jsonl", "{\"text\": \"a b\"}\n"}};
}

}  // namespace prefer::testing
