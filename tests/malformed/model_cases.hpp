// Malformed models: config.json, safetensors and their index.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// What `git clone` leaves without Git LFS, and what is said of it behind the file's name.
inline const char* const kLfsPointer =
    "version https://git-lfs.github.com/spec/v1\n"
    "oid sha256:4d7a214614ab2935c943f9e0ff69d22eadbb8f32b1258daaa5e2ca24d17e2393\nsize 135\n";
inline const char* const kIsLfsPointer = ": is a Git LFS pointer, not the file: fetch it (git lfs pull)";

/// A case of model/config.json.
inline Malformed model_config_case(const std::string& name, const std::string& config,
                                   const std::string& line, Seen seen = Seen::by_readers) {
  return {name, "score", line, {{"model/config.json", config}}, {}, seen};
}

inline std::vector<Malformed> model_config_cases() {
  const auto changed = [](const std::string& from, const std::string& to) {
    return with(config_json(), from, to);
  };
  const std::string heads = "\"num_attention_heads\": 2";
  auto but_the_last = weights();
  but_the_last.pop_back();
  return {
      {"model_missing",
       "score",
       R"(@/none: no such file or folder; a model is a Hugging Face folder or a .gguf file, a tokenizer alone also a tokenizer.json or a .model)",
       {},
       {"model=@/none"}},
      {"model_of_the_hub",
       "score",
       R"(HuggingFaceTB/SmolLM2-135M: no such file or folder; a model is a Hugging Face folder or a .gguf file, a tokenizer alone also a tokenizer.json or a .model; prefer downloads nothing: fetch it first (hf download HuggingFaceTB/SmolLM2-135M --local-dir FOLDER) and give the folder)",
       {},
       {"model=HuggingFaceTB/SmolLM2-135M"}},
      {"model_is_a_runs_folder",
       "score",
       "@/run: is a run's folder; its model is @/run/model",
       {{"run/model/config.json", "{}"}},
       {"model=@/run"}},
      {"model_is_a_checkpoint",
       "score",
       "@/checkpoint-1: is a checkpoint, from which a run goes on; the model that a run ends with is "
       "OUTPUT/model",
       {{"checkpoint-1/manifest.json", "{}"}},
       {"model=@/checkpoint-1"}},
      {"model_is_weights_alone",
       "score",
       R"(@/model/model.safetensors: is one file; a model is a Hugging Face folder or a .gguf file, and this lies in the folder @/model)",
       {},
       {"model=@/model/model.safetensors"}},
      {"model_is_its_config",
       "score",
       R"(@/model/config.json: is one file; a model is a Hugging Face folder or a .gguf file, and this lies in the folder @/model)",
       {},
       {"model=@/model/config.json"}},
      {"model_is_its_tokenizer",
       "score",
       R"(@/model/tokenizer.json: is one file; a model is a Hugging Face folder or a .gguf file, and this lies in the folder @/model)",
       {},
       {"model=@/model/tokenizer.json"},
       Seen::by_program},
      {"model_is_a_pointer_to_a_gguf",
       "score",
       std::string("@/m.gguf") + kIsLfsPointer,
       {{"m.gguf", kLfsPointer}},
       {"model=@/m.gguf"}},
      model_config_case("model_config_is_a_pointer", kLfsPointer,
                        std::string("@/model/config.json") + kIsLfsPointer, Seen::by_program),
      {"model_of_a_window_below_zero",
       "score",
       R"(@/model/config.json:1:1: max_window_layers = -9223372036854775808 of 1 layers; neither may be below 0)",
       {{"model/config.json",
         R"({"model_type": "qwen2", "vocab_size": 16, "hidden_size": 8, "intermediate_size": 8, "num_hidden_layers": 1, "num_attention_heads": 1, "max_position_embeddings": 64, "rms_norm_eps": 1e-5, "max_window_layers": -9223372036854775808})"}}},
      {"model_with_an_adapter",
       "score",
       "@/model: holds an adapter (adapter_config.json), which would not be applied; merge it into its model "
       "first (PEFT: merge_and_unload)",
       {{"model/adapter_config.json", "{}"}},
       {},
       Seen::by_program},
      {"model_without_config",
       "score",
       R"(@/other: a model is a folder with config.json and safetensors, or a .gguf file; there is no config.json here)",
       {{"other/tokenizer.json", tokenizer_json()}},
       {"model=@/other"},
       Seen::by_program},
      {"model_config_is_a_folder",
       "score",
       R"(@/other/config.json: could not open: Is a directory)",
       {{"other/tokenizer.json", tokenizer_json()}, {"other/config.json/", ""}},
       {"model=@/other"}},
      model_config_case(
          "model_of_two_labels", config_json(R"(, "architectures": ["LlamaForSequenceClassification"])"),
          R"(@/model/config.json:3:112: a model that gives a text 2 labels is not implemented; implemented is 1, a score)"),
      model_config_case(
          "model_of_five_labels",
          config_json(
              R"(, "architectures": ["LlamaForSequenceClassification"], "id2label": {"0": "a", "1": "b", "2": "c", "3": "d", "4": "e"})"),
          R"(@/model/config.json:3:112: a model that gives a text 5 labels is not implemented; implemented is 1, a score)"),
      model_config_case("model_architectures_are_a_text", config_json(R"(, "architectures": "Llama")"),
                        R"(@/model/config.json:3:112: expected an array, found a string)"),
      model_config_case(
          "model_config_empty", "",
          R"(@/model/config.json:1:1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal)"),
      model_config_case("model_config_is_a_list", "[]",
                        R"(@/model/config.json:1:1: expected an object, found an array)"),
      model_config_case("model_config_names_no_family", "{}",
                        R"(@/model/config.json:1:1: "model_type" is missing)"),
      model_config_case(
          "model_config_of_another_family", changed("llama", "bert"),
          R"(@/model/config.json:1:16: model_type "bert" is not implemented; implemented are llama, mistral, qwen2, qwen3)"),
      model_config_case("model_config_lacks_a_size", changed("\"hidden_size\": 8, ", ""),
                        R"(@/model/config.json:1:1: "hidden_size" is missing)"),
      model_config_case("model_config_size_is_a_text",
                        changed("\"vocab_size\": 16", "\"vocab_size\": \"16\""),
                        R"(@/model/config.json:1:39: expected an integer, found a string)"),
      model_config_case(
          "model_config_size_is_nan", changed("\"vocab_size\": 16", "\"vocab_size\": NaN"),
          R"(@/model/config.json:1:39: syntax error while parsing value - invalid literal; seen "NaN")"),
      model_config_case("model_config_size_is_huge", changed("\"vocab_size\": 16", "\"vocab_size\": 1e30"),
                        R"(@/model/config.json:1:39: expected an integer, found a number)"),
      model_config_case("model_config_size_is_negative", changed("\"vocab_size\": 16", "\"vocab_size\": -16"),
                        R"(@/model/config.json:1:1: vocab_size = -16 is not a size from 1 to 2147483648)"),
      model_config_case(
          "model_config_of_no_heads", changed(heads, "\"num_attention_heads\": 0"),
          R"(@/model/config.json:1:1: num_attention_heads = 0 is not a size from 1 to 2147483648)"),
      model_config_case(
          "model_config_of_a_billion_layers",
          changed("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 1000000000"),
          R"(@/model/config.json:1:1: num_hidden_layers = 1000000000 is not a size from 1 to 4096)"),
      model_config_case(
          "model_config_heads_divide_no_width", changed(heads, "\"num_attention_heads\": 3"),
          R"(@/model/config.json:2:48: num_attention_heads = 3 do not divide hidden_size = 8, and there is no head_dim)"),
      model_config_case(
          "model_config_heads_divide_no_groups",
          changed("\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3"),
          R"(@/model/config.json:1:1: num_attention_heads = 2 is not a multiple of num_key_value_heads = 3)"),
      model_config_case("model_config_odd_heads", config_json(", \"head_dim\": 3"),
                        R"(@/model/config.json:1:1: head_dim = 3 is odd, and rotary positions want pairs)"),
      model_config_case("model_config_eps_is_negative", changed("1e-05", "-1"),
                        R"(@/model/config.json:1:1: rms_norm_eps = -1 is not a positive number)"),
      model_config_case("model_config_theta_is_negative", changed("10000.0", "-1"),
                        R"(@/model/config.json:1:1: rope_theta = -1 is not a positive number)"),
      model_config_case(
          "model_config_other_activation", config_json(", \"hidden_act\": \"gelu\""),
          R"(@/model/config.json:3:109: hidden_act = "gelu" is not implemented; implemented is "silu")"),
      model_config_case("model_config_quantised", config_json(", \"quantization_config\": {\"bits\": 4}"),
                        R"(@/model/config.json:3:118: quantization_config = {"bits":4} is not implemented)"),
      model_config_case(
          "model_config_other_rope", config_json(", \"rope_scaling\": {\"rope_type\": \"yarn\"}"),
          R"(@/model/config.json:3:125: rope_type "yarn" is not implemented; implemented are default and llama3)"),
      model_config_case("model_config_rope_lacks_its_factor",
                        config_json(", \"rope_scaling\": {\"rope_type\": \"llama3\"}"),
                        R"(@/model/config.json:3:111: "factor" is missing)"),
      model_config_case("model_config_end_is_a_text",
                        changed("\"eos_token_id\": 1", "\"eos_token_id\": \"</s>\""),
                        R"(@/model/config.json:3:92: expected an integer, found a string)"),
      {"generation_config_cut_off",
       "score",
       R"(@/model/generation_config.json:1:2: syntax error while parsing object key - unexpected end of input; expected string literal)",
       {{"model/generation_config.json", "{"}}},
      {"model_lacks_a_weight",
       "score",
       R"(@/model: model.norm.weight [8] is missing from the safetensors)",
       {{"model/model.safetensors", model_safetensors(but_the_last)}},
       {},
       Seen::by_program},
      {"model_has_a_weight_too_many",
       "score",
       R"(@/model/model.safetensors: lm_head.bias is not a weight of a llama model with num_hidden_layers = 1)",
       {{"model/model.safetensors",
         [] {
           auto all = weights();
           all.push_back({"lm_head.bias", "", {16}});
           return model_safetensors(all);
         }()}},
       {},
       Seen::by_program},
      model_config_case(
          "model_of_another_shape", changed("\"intermediate_size\": 8", "\"intermediate_size\": 16"),
          R"(@/model/model.safetensors: model.layers.0.mlp.gate_proj.weight is F32 [8, 8] at byte 2506; the config wants floats [16, 8])",
          Seen::by_program),
      {"model_of_integers",
       "score",
       R"(@/model/model.safetensors: model.embed_tokens.weight is I32 [16, 8] at byte 1162; the config wants floats [16, 8])",
       {{"model/model.safetensors", with(model_safetensors(), "F32", "I32")}},
       {},
       Seen::by_program},
      {"reference_knows_fewer_tokens",
       "dpo",
       R"(@/pairs.jsonl: has token 13, and the vocabulary of @/small is 0..3; its tokenizer belongs to another model)",
       {{"small/config.json", changed("\"vocab_size\": 16", "\"vocab_size\": 4")},
        {"small/model.safetensors",
         [] {
           auto all = weights();
           all[0].shape[0] = 4;
           return model_safetensors(all);
         }()}},
       {"reference=@/small"},
       Seen::by_program},
      {"model_knows_fewer_tokens",
       "score",
       R"(@/in.jsonl: has token 9, and the vocabulary of @/model is 0..3; its tokenizer belongs to another model)",
       {{"model/config.json", changed("\"vocab_size\": 16", "\"vocab_size\": 4")},
        {"model/model.safetensors",
         [] {
           auto all = weights();
           all[0].shape[0] = 4;
           return model_safetensors(all);
         }()},
        {"in.jsonl", R"({"tokens": [2, 3, 9]})"
                     "\n"}},
       {},
       Seen::by_program},
  };
}

/// Headers of model.safetensors.
inline std::vector<Malformed> safetensors_cases() {
  const auto file = [](const std::string& name, const std::string& bytes, const std::string& line) {
    return Malformed{name, "score", line, {{"model/model.safetensors", bytes}}};
  };
  const auto header = [file](const std::string& name, const std::string& text, const std::string& line) {
    return file(name, safetensors(text, 8), line);
  };
  const auto entry = [header](const std::string& name, const std::string& text, const std::string& line) {
    return header(name, "{\"w\":" + text + "}", line);
  };
  const std::string good = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  const auto two = [](const char* a, const char* b) {
    const auto bytes = [](const char* offsets) {
      return std::string(R"({"dtype":"U8","shape":[4],"data_offsets":)") + offsets + "}";
    };
    return "{\"b\":" + bytes(a) + ",\"a\":" + bytes(b) + "}";
  };
  return {
      file("safetensors_empty", "",
           R"(@/model/model.safetensors: byte 0: the header's length needs 8 bytes, but only 0 are left)"),
      file("safetensors_cut_in_the_length", "abc",
           R"(@/model/model.safetensors: byte 0: the header's length needs 8 bytes, but only 3 are left)"),
      file("safetensors_header_beyond_the_cap", std::string(16, '\xff'),
           R"(@/model/model.safetensors: byte 8: a header of 18446744073709551615 bytes; at most 67108864)"),
      file("safetensors_header_beyond_the_file", bytes_of<std::uint64_t>(1000) + "{}",
           R"(@/model/model.safetensors: byte 8: the header needs 1000 bytes, but only 2 are left)"),
      file("safetensors_is_a_pickle", std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15),
           R"(@/model/model.safetensors: byte 8: a header of 5088219219985302144 bytes; at most 67108864)"),
      file("safetensors_is_a_pointer", kLfsPointer, std::string("@/model/model.safetensors") + kIsLfsPointer),
      header("safetensors_header_after_a_space", " {}",
             R"(@/model/model.safetensors: byte 8: the header does not begin with {)"),
      header(
          "safetensors_header_is_no_json", "{w}",
          R"(@/model/model.safetensors:1:2: syntax error while parsing object key - invalid literal; seen "w")"),
      header("safetensors_bytes_behind", "{}",
             R"(@/model/model.safetensors: byte 10: 8 bytes after the last tensor)"),
      header("safetensors_tensor_twice", "{\"w\":" + good + ",\"w\":" + good + "}",
             R"(@/model/model.safetensors:1:59: the key "w" stands twice)"),
      header("safetensors_metadata_is_a_number", R"({"__metadata__":{"a":1}})",
             R"(@/model/model.safetensors:1:22: expected a string, found an integer)"),
      header(
          "safetensors_name_too_long", "{\"" + std::string(513, 'n') + "\":" + good + "}",
          R"(@/model/model.safetensors: tensor "nnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnnn"...: byte 525: a name of 513 bytes; at most 512)"),
      entry("safetensors_entry_is_a_number", "3",
            R"(@/model/model.safetensors: tensor "w": byte 13: expected an object, found an integer)"),
      entry("safetensors_no_dtype", "{}",
            R"(@/model/model.safetensors: tensor "w": byte 13: "dtype" is missing)"),
      entry("safetensors_dtype_is_a_number", R"({"dtype":1,"shape":[2],"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 22: dtype is a string, not an integer)"),
      entry("safetensors_dtype_unknown", R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 22: unknown dtype "F33")"),
      entry("safetensors_shape_is_a_number", R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 36: shape is an array, not an integer)"),
      entry("safetensors_shape_negative", R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 37: expected an integer >= 0, found -2)"),
      entry("safetensors_shape_of_a_fraction", R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 37: expected an integer >= 0, found 2.0)"),
      entry("safetensors_shape_of_nine",
            R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})",
            R"(@/model/model.safetensors: tensor "w": byte 36: 9 dimensions; at most 8)"),
      entry(
          "safetensors_shape_overflows",
          R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})",
          R"(@/model/model.safetensors: tensor "w": byte 13: F32 [4611686018427387904, 4] is larger than 64 bits can count)"),
      entry("safetensors_half_a_byte", R"({"dtype":"F4","shape":[3],"data_offsets":[0,1]})",
            R"(@/model/model.safetensors: tensor "w": byte 13: F4 [3] is no whole number of bytes)"),
      entry("safetensors_offsets_missing", R"({"dtype":"F32","shape":[2]})",
            R"(@/model/model.safetensors: tensor "w": byte 13: "data_offsets" is missing)"),
      entry("safetensors_one_offset", R"({"dtype":"F32","shape":[2],"data_offsets":[0]})",
            R"(@/model/model.safetensors: tensor "w": byte 55: data_offsets are two integers)"),
      entry(
          "safetensors_offsets_backwards", R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})",
          R"(@/model/model.safetensors: tensor "w": byte 55: data_offsets [8, 0] do not hold the 8 bytes of F32 [2])"),
      entry("safetensors_offset_negative", R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})",
            R"(@/model/model.safetensors: tensor "w": byte 56: expected an integer >= 0, found -8)"),
      entry("safetensors_offset_is_a_text", R"({"dtype":"F32","shape":[2],"data_offsets":["0",8]})",
            R"(@/model/model.safetensors: tensor "w": byte 56: expected an integer >= 0, found "0")"),
      entry(
          "safetensors_offsets_of_another_shape", R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
          R"(@/model/model.safetensors: tensor "w": byte 55: data_offsets [0, 8] do not hold the 12 bytes of F32 [3])"),
      entry(
          "safetensors_offsets_beyond_the_file",
          R"({"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]})",
          R"(@/model/model.safetensors: tensor "w": byte 13: U8 [9223372036854775807] is larger than 64 bits can count)"),
      entry("safetensors_unknown_member", R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})",
            R"(@/model/model.safetensors: tensor "w": byte 65: unknown member "x")"),
      header(
          "safetensors_tensors_overlap", two("[0,4]", "[2,6]"),
          R"(@/model/model.safetensors: tensor "a": its bytes begin at 115, inside the tensor before, which ends at 117)"),
      header("safetensors_tensors_leave_a_hole", two("[0,4]", "[5,9]"),
             R"(@/model/model.safetensors: tensor "a": its bytes begin at 118, a hole after byte 117)"),
      file(
          "safetensors_cut_off", model_safetensors().substr(0, 3000),
          R"(@/model/model.safetensors: tensor "model.layers.0.mlp.up_proj.weight": byte 2762: needs 256 bytes, but only 238 are left)"),
  };
}

/// A folder of shards: two of them, and this weight_map.
inline Malformed index_case(const std::string& name, const std::string& map, const std::string& line) {
  const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
  return {
      name,
      "score",
      line,
      {{"shards/config.json", config_json()},
       {"shards/tokenizer.json", tokenizer_json()},
       {"shards/a.safetensors", safetensors("{\"a\":" + entry + "}", 8)},
       {"shards/b.safetensors",
        safetensors(
            "{\"b\":" + entry + ",\"c\":" + R"({"dtype":"F32","shape":[0],"data_offsets":[0,0]})" + "}", 8)},
       {"shards/model.safetensors.index.json", map}},
      {"model=@/shards"}};
}

inline std::vector<Malformed> index_cases() {
  const auto map = [](const std::string& name, const std::string& members, const std::string& line) {
    return index_case(name, "{\"weight_map\": {" + members + "}}", line);
  };
  return {
      {"weights_missing",
       "score",
       R"(@/other: holds neither model.safetensors nor model.safetensors.index.json)",
       {{"other/tokenizer.json", tokenizer_json()}, {"other/config.json", config_json()}},
       {"model=@/other"}},
      {"weights_are_a_pickle",
       "score",
       R"(@/other: holds neither model.safetensors nor model.safetensors.index.json; pytorch_model.bin is not read, as a pickle can run code: convert it (transformers: save_pretrained(FOLDER, safe_serialization=True)))",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/config.json", config_json()},
        {"other/pytorch_model.bin", "PK"}},
       {"model=@/other"}},
      {"weights_are_a_folder",
       "score",
       R"(@/other/model.safetensors: could not open: Is a directory)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/config.json", config_json()},
        {"other/model.safetensors/", ""}},
       {"model=@/other"}},
      index_case(
          "index_cut_off", R"({"weight_map": {)",
          R"(@/shards/model.safetensors.index.json:1:17: syntax error while parsing object key - unexpected end of input; expected string literal)"),
      index_case("index_is_a_pointer", kLfsPointer,
                 std::string("@/shards/model.safetensors.index.json") + kIsLfsPointer),
      index_case("index_without_a_map", "{}",
                 R"(@/shards/model.safetensors.index.json:1:1: "weight_map" is missing)"),
      index_case("index_map_is_a_list", R"({"weight_map": []})",
                 R"(@/shards/model.safetensors.index.json:1:16: expected an object, found an array)"),
      map("index_shard_is_a_number", R"("a": 1)",
          R"(@/shards/model.safetensors.index.json:1:22: expected a string, found an integer)"),
      map("index_shard_above", R"("a": "../../a.safetensors")",
          R"(@/shards/model.safetensors.index.json:1:22: a shard is a plain file name that ends with .safetensors, not "../../a.safetensors")"),
      map("index_shard_elsewhere", R"("a": "/etc/a.safetensors")",
          R"(@/shards/model.safetensors.index.json:1:22: a shard is a plain file name that ends with .safetensors, not "/etc/a.safetensors")"),
      map("index_shard_with_a_nul", R"("a": "a\u0000.safetensors")",
          R"(@/shards/model.safetensors.index.json:1:22: a shard is a plain file name that ends with .safetensors, not "a\u0000.safetensors")"),
      map("index_shard_of_another_kind", R"("a": "a.bin")",
          R"(@/shards/model.safetensors.index.json:1:22: a shard is a plain file name that ends with .safetensors, not "a.bin")"),
      map("index_shard_missing", R"("a": "a.safetensors", "b": "none.safetensors")",
          R"(@/shards/none.safetensors: could not open: No such file or directory)"),
      map("index_tensor_missing", R"("a": "a.safetensors", "x": "b.safetensors")",
          R"(@/shards/b.safetensors: tensor "x" is missing, which @/shards/model.safetensors.index.json says it holds)"),
      map("index_tensor_in_another_shard", R"("a": "b.safetensors", "b": "a.safetensors")",
          R"(@/shards/b.safetensors: tensor "a" is missing, which @/shards/model.safetensors.index.json says it holds)"),
      map("index_tensor_not_named", R"("a": "a.safetensors", "b": "b.safetensors")",
          R"(@/shards/b.safetensors: tensor "c" is not in @/shards/model.safetensors.index.json)"),
      [] {
        const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
        Malformed twice = index_case(
            "index_tensor_in_two_shards", R"({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}})",
            R"(@/shards/b.safetensors: tensor "a" stands in @/shards/a.safetensors too)");
        twice.files["shards/b.safetensors"] = safetensors("{\"a\":" + entry + "}", 8);
        return twice;
      }(),
  };
}

}  // namespace prefer::testing
