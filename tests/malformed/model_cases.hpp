// Malformed models: config.json, safetensors and their index.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

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
      {"model_missing", "score", R"(?)", {}, {"model=@/none"}},
      {"model_without_config",
       "score",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()}},
       {"model=@/other"},
       Seen::by_program},
      {"model_config_is_a_folder",
       "score",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()}, {"other/config.json/", ""}},
       {"model=@/other"}},
      model_config_case("model_config_empty", "", R"(?)"),
      model_config_case("model_config_is_a_list", "[]", R"(?)"),
      model_config_case("model_config_names_no_family", "{}", R"(?)"),
      model_config_case("model_config_of_another_family", changed("llama", "bert"), R"(?)"),
      model_config_case("model_config_lacks_a_size", changed("\"hidden_size\": 8, ", ""), R"(?)"),
      model_config_case("model_config_size_is_a_text",
                        changed("\"vocab_size\": 16", "\"vocab_size\": \"16\""), R"(?)"),
      model_config_case("model_config_size_is_nan", changed("\"vocab_size\": 16", "\"vocab_size\": NaN"),
                        R"(?)"),
      model_config_case("model_config_size_is_huge", changed("\"vocab_size\": 16", "\"vocab_size\": 1e30"),
                        R"(?)"),
      model_config_case("model_config_size_is_negative", changed("\"vocab_size\": 16", "\"vocab_size\": -16"),
                        R"(?)"),
      model_config_case("model_config_of_no_heads", changed(heads, "\"num_attention_heads\": 0"), R"(?)"),
      model_config_case("model_config_of_a_billion_layers",
                        changed("\"num_hidden_layers\": 1", "\"num_hidden_layers\": 1000000000"), R"(?)"),
      model_config_case("model_config_heads_divide_no_width", changed(heads, "\"num_attention_heads\": 3"),
                        R"(?)"),
      model_config_case("model_config_heads_divide_no_groups",
                        changed("\"num_key_value_heads\": 1", "\"num_key_value_heads\": 3"), R"(?)"),
      model_config_case("model_config_odd_heads", config_json(", \"head_dim\": 3"), R"(?)"),
      model_config_case("model_config_eps_is_negative", changed("1e-05", "-1"), R"(?)"),
      model_config_case("model_config_theta_is_negative", changed("10000.0", "-1"), R"(?)"),
      model_config_case("model_config_other_activation", config_json(", \"hidden_act\": \"gelu\""), R"(?)"),
      model_config_case("model_config_quantised", config_json(", \"quantization_config\": {\"bits\": 4}"),
                        R"(?)"),
      model_config_case("model_config_other_rope",
                        config_json(", \"rope_scaling\": {\"rope_type\": \"yarn\"}"), R"(?)"),
      model_config_case("model_config_rope_lacks_its_factor",
                        config_json(", \"rope_scaling\": {\"rope_type\": \"llama3\"}"), R"(?)"),
      model_config_case("model_config_end_is_a_text",
                        changed("\"eos_token_id\": 1", "\"eos_token_id\": \"</s>\""), R"(?)"),
      {"generation_config_cut_off", "score", R"(?)", {{"model/generation_config.json", "{"}}},
      {"model_lacks_a_weight",
       "score",
       R"(?)",
       {{"model/model.safetensors", model_safetensors(but_the_last)}},
       {},
       Seen::by_program},
      {"model_has_a_weight_too_many",
       "score",
       R"(?)",
       {{"model/model.safetensors",
         [] {
           auto all = weights();
           all.push_back({"lm_head.bias", "", {16}});
           return model_safetensors(all);
         }()}},
       {},
       Seen::by_program},
      model_config_case("model_of_another_shape",
                        changed("\"intermediate_size\": 8", "\"intermediate_size\": 16"), R"(?)",
                        Seen::by_program),
      {"model_of_integers",
       "score",
       R"(?)",
       {{"model/model.safetensors", with(model_safetensors(), "F32", "I32")}},
       {},
       Seen::by_program},
      {"reference_knows_fewer_tokens",
       "dpo",
       R"(?)",
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
       R"(?)",
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
      file("safetensors_empty", "", R"(?)"),
      file("safetensors_cut_in_the_length", "abc", R"(?)"),
      file("safetensors_header_beyond_the_cap", std::string(16, '\xff'), R"(?)"),
      file("safetensors_header_beyond_the_file", bytes_of<std::uint64_t>(1000) + "{}", R"(?)"),
      file("safetensors_is_a_pickle", std::string("\x80\x02\x8a\x0al\xfc\x9c\x46\xf9\x20j\xa8P\x19.", 15),
           R"(?)"),
      header("safetensors_header_after_a_space", " {}", R"(?)"),
      header("safetensors_header_is_no_json", "{w}", R"(?)"),
      header("safetensors_bytes_behind", "{}", R"(?)"),
      header("safetensors_tensor_twice", "{\"w\":" + good + ",\"w\":" + good + "}", R"(?)"),
      header("safetensors_metadata_is_a_number", R"({"__metadata__":{"a":1}})", R"(?)"),
      header("safetensors_name_too_long", "{\"" + std::string(513, 'n') + "\":" + good + "}", R"(?)"),
      entry("safetensors_entry_is_a_number", "3", R"(?)"),
      entry("safetensors_no_dtype", "{}", R"(?)"),
      entry("safetensors_dtype_is_a_number", R"({"dtype":1,"shape":[2],"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_dtype_unknown", R"({"dtype":"F33","shape":[2],"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_shape_is_a_number", R"({"dtype":"F32","shape":2,"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_shape_negative", R"({"dtype":"F32","shape":[-2],"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_shape_of_a_fraction", R"({"dtype":"F32","shape":[2.0],"data_offsets":[0,8]})",
            R"(?)"),
      entry("safetensors_shape_of_nine",
            R"({"dtype":"F32","shape":[1,1,1,1,1,1,1,1,2],"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_shape_overflows",
            R"({"dtype":"F32","shape":[4611686018427387904,4],"data_offsets":[0,8]})", R"(?)"),
      entry("safetensors_half_a_byte", R"({"dtype":"F4","shape":[3],"data_offsets":[0,1]})", R"(?)"),
      entry("safetensors_offsets_missing", R"({"dtype":"F32","shape":[2]})", R"(?)"),
      entry("safetensors_one_offset", R"({"dtype":"F32","shape":[2],"data_offsets":[0]})", R"(?)"),
      entry("safetensors_offsets_backwards", R"({"dtype":"F32","shape":[2],"data_offsets":[8,0]})", R"(?)"),
      entry("safetensors_offset_negative", R"({"dtype":"F32","shape":[2],"data_offsets":[-8,0]})", R"(?)"),
      entry("safetensors_offset_is_a_text", R"({"dtype":"F32","shape":[2],"data_offsets":["0",8]})", R"(?)"),
      entry("safetensors_offsets_of_another_shape", R"({"dtype":"F32","shape":[3],"data_offsets":[0,8]})",
            R"(?)"),
      entry("safetensors_offsets_beyond_the_file",
            R"({"dtype":"U8","shape":[9223372036854775807],"data_offsets":[0,9223372036854775807]})", R"(?)"),
      entry("safetensors_unknown_member", R"({"dtype":"F32","shape":[2],"data_offsets":[0,8],"x":1})",
            R"(?)"),
      header("safetensors_tensors_overlap", two("[0,4]", "[2,6]"), R"(?)"),
      header("safetensors_tensors_leave_a_hole", two("[0,4]", "[5,9]"), R"(?)"),
      file("safetensors_cut_off", model_safetensors().substr(0, 3000), R"(?)"),
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
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()}, {"other/config.json", config_json()}},
       {"model=@/other"}},
      {"weights_are_a_folder",
       "score",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/config.json", config_json()},
        {"other/model.safetensors/", ""}},
       {"model=@/other"}},
      index_case("index_cut_off", R"({"weight_map": {)", R"(?)"),
      index_case("index_without_a_map", "{}", R"(?)"),
      index_case("index_map_is_a_list", R"({"weight_map": []})", R"(?)"),
      map("index_shard_is_a_number", R"("a": 1)", R"(?)"),
      map("index_shard_above", R"("a": "../../a.safetensors")", R"(?)"),
      map("index_shard_elsewhere", R"("a": "/etc/a.safetensors")", R"(?)"),
      map("index_shard_with_a_nul", R"("a": "a\u0000.safetensors")", R"(?)"),
      map("index_shard_of_another_kind", R"("a": "a.bin")", R"(?)"),
      map("index_shard_missing", R"("a": "a.safetensors", "b": "none.safetensors")", R"(?)"),
      map("index_tensor_missing", R"("a": "a.safetensors", "x": "b.safetensors")", R"(?)"),
      map("index_tensor_in_another_shard", R"("a": "b.safetensors", "b": "a.safetensors")", R"(?)"),
      map("index_tensor_not_named", R"("a": "a.safetensors", "b": "b.safetensors")", R"(?)"),
      [] {
        const std::string entry = R"({"dtype":"F32","shape":[2],"data_offsets":[0,8]})";
        Malformed twice =
            index_case("index_tensor_in_two_shards",
                       R"({"weight_map": {"a": "a.safetensors", "b": "b.safetensors"}})", R"(?)");
        twice.files["shards/b.safetensors"] = safetensors("{\"a\":" + entry + "}", 8);
        return twice;
      }(),
  };
}

}  // namespace prefer::testing
