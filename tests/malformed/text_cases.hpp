// Malformed tokenizers and chat templates.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of model/tokenizer.json.
inline Malformed tokenizer_case(const std::string& name, const std::string& json, const std::string& line) {
  return {name, "tokenize", line, {{"model/tokenizer.json", json}}};
}

/// A sequence of `n` replacements of a by aa.
inline std::string doublings(const char* list, int n, const char* first = "") {
  std::string steps = first;
  for (int i = 0; i < n; ++i)
    steps += std::string(steps.empty() ? "" : ", ") +
             R"({"type": "Replace", "pattern": {"String": "a"}, "content": "aa"})";
  return std::string(R"({"type": "Sequence", ")") + list + "\": [" + steps + "]}";
}

inline std::vector<Malformed> tokenizer_cases() {
  const std::string good = tokenizer_json();
  const auto changed = [good](const char* name, const std::string& from, const std::string& to,
                              const char* line) { return tokenizer_case(name, with(good, from, to), line); };
  const auto split = [](const char* name, const std::string& regex, const char* line) {
    return tokenizer_case(name,
                          tokenizer_json(R"(, "pre_tokenizer": {"type": "Split", "pattern": {"Regex": ")" +
                                         regex + R"("}, "behavior": "Isolated"})"),
                          line);
  };
  const auto config = [](const char* name, const std::string& json, const char* line) {
    return Malformed{name, "tokenize", line, {{"model/tokenizer_config.json", json}}};
  };
  Malformed catastrophe = split("tokenizer_regex_without_end", "(a+)+[xy]", R"(?)");
  catastrophe.files["in.jsonl"] = "{\"text\": \"" + std::string(64, 'a') + "\"}\n";
  Malformed decoder = tokenizer_case(
      "tokenizer_decoder_grows", with(good, R"({"type": "ByteLevel"})", doublings("decoders", 60)), R"(?)");
  decoder.files["in.jsonl"] = "{\"ids\": [2]}\n";
  return {
      {"tokenizer_missing", "tokenize", R"(?)", {{"empty/", ""}}, {"model=@/empty"}},
      {"tokenizer_is_a_folder", "tokenize", R"(?)", {{"other/tokenizer.json/", ""}}, {"model=@/other"}},
      tokenizer_case("tokenizer_empty", "", R"(?)"),
      tokenizer_case("tokenizer_cut_off", good.substr(0, 200), R"(?)"),
      tokenizer_case("tokenizer_without_a_model", "{}", R"(?)"),
      changed("tokenizer_of_another_kind", R"("type": "BPE")", R"("type": "Unigram")", R"(?)"),
      changed("tokenizer_id_twice", R"("b": 3)", R"("b": 2)", R"(?)"),
      changed("tokenizer_id_negative", R"("b": 3)", R"("b": -3)", R"(?)"),
      changed("tokenizer_id_beyond_the_cap", R"("b": 3)", R"("b": 4000000000)", R"(?)"),
      changed("tokenizer_with_a_hole", R"("r": 15)", R"("r": 17)", R"(?)"),
      changed("tokenizer_merge_of_unknown_tokens", R"("a b")", R"("a q")", R"(?)"),
      changed("tokenizer_merge_into_nothing", R"("a b")", R"("b a")", R"(?)"),
      changed("tokenizer_merge_of_three", R"("a b")", R"("a b c")", R"(?)"),
      changed("tokenizer_added_token_has_another_id", R"("id": 1, "content")", R"("id": 5, "content")",
              R"(?)"),
      changed("tokenizer_normalizer_unknown", R"({"type": "NFC"})", R"({"type": "NFKD"})", R"(?)"),
      tokenizer_case("tokenizer_pre_tokenizer_unknown",
                     tokenizer_json(R"(, "pre_tokenizer": {"type": "WhitespaceSplit"})"), R"(?)"),
      split("tokenizer_regex_not_closed", "(", R"(?)"),
      split("tokenizer_regex_too_large", "((a{1000}){1000}){1000}", R"(?)"),
      split("tokenizer_regex_escape_unknown", R"(\\R)", R"(?)"),
      catastrophe,
      tokenizer_case("tokenizer_normalizer_grows",
                     tokenizer_json(", \"normalizer\": " + doublings("normalizers", 60)), R"(?)"),
      tokenizer_case("tokenizer_pre_tokenizer_grows",
                     tokenizer_json(R"(, "pre_tokenizer": {"type": "Metaspace", "replacement": ")" +
                                    std::string(100'000, 'a') + "\"}"),
                     R"(?)"),
      decoder,
      tokenizer_case(
          "tokenizer_puts_an_unknown_token_first",
          tokenizer_json(
              R"(, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>"}}]})"),
          R"(?)"),
      config("tokenizer_config_cut_off", "{", R"(?)"),
      config("tokenizer_config_names_an_unknown_token", R"({"bos_token": "<bos>"})", R"(?)"),
      config("tokenizer_config_flag_is_a_text", R"({"add_bos_token": "yes"})", R"(?)"),
      config("tokenizer_config_adds_under_a_name", R"({"added_tokens_decoder": {"x": {"content": "y"}}})",
             R"(?)"),
  };
}

/// A case of a sentencepiece model.
inline std::vector<Malformed> sentencepiece_cases() {
  const auto model = [](const char* name, const std::string& bytes, const char* line) {
    return Malformed{name, "tokenize", line, {{"t.model", bytes}}, {"model=@/t.model"}};
  };
  const std::string good = tokenizer_model();
  const auto map = [](const std::string& bytes) { return proto(3, proto(2, bytes)); };
  return {
      model("sentencepiece_empty", "", R"(?)"),
      model("sentencepiece_is_a_text", "once upon a time", R"(?)"),
      model("sentencepiece_cut_off", good.substr(0, 40), R"(?)"),
      model("sentencepiece_without_pieces", proto(2, proto(3, 2)), R"(?)"),
      model("sentencepiece_without_an_unknown", piece("a", -1) + proto(2, proto(3, 2)), R"(?)"),
      model("sentencepiece_piece_twice", good + piece("a", -2), R"(?)"),
      model("sentencepiece_piece_is_no_utf8", good + piece("\xff", -2), R"(?)"),
      model("sentencepiece_table_cut_off", good + map("abc"), R"(?)"),
      model("sentencepiece_table_points_outside",
            good + map(bytes_of(4u) + bytes_of(0xffffu << 10) + std::string("a\0", 2)), R"(?)"),
  };
}

/// A case of the chat template, on one message of a user.
inline Malformed template_case(const std::string& name, const std::string& source, const std::string& line) {
  return {name,
          "tokenize",
          line,
          {{"model/chat_template.jinja", source},
           {"in.jsonl", R"({"messages": [{"role": "user", "content": "a b"}]})"
                        "\n"}}};
}

inline std::vector<Malformed> template_cases() {
  const std::string deep(500, '(');
  const std::string grow = "{% set ns = namespace(v='aaaaaaaa') %}{% for i in range(99) %}{% set ns.v = ";
  return {
      template_case("template_not_closed", "{% if true %}a", R"(?)"),
      template_case("template_expression_not_closed", "a\n {{ 'b' ", R"(?)"),
      template_case("template_bracket_wrong", "{{ (1] }}", R"(?)"),
      template_case("template_statement_unknown", "a\n  {% include 'x' %}", R"(?)"),
      template_case("template_filter_unknown", "{{ 'a' | urlize }}", R"(?)"),
      template_case("template_name_unknown", "{{ missing.x }}", R"(?)"),
      template_case("template_refuses", "{{ raise_exception('no\nsuch role') }}", R"(?)"),
      template_case("template_divides_by_zero", "{{ 1 // 0 }}", R"(?)"),
      template_case("template_overflows", "{{ 9223372036854775807 + 1 }}", R"(?)"),
      template_case("template_index_overflows", "{{ 'a'[9223372036854775807].x }}", R"(?)"),
      template_case("template_int_of_nan", "{{ ((10.0 ** 400) - (10.0 ** 400)) | int }}", R"(?)"),
      template_case("template_recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}", R"(?)"),
      template_case("template_nested", "{{ " + deep + "1" + std::string(500, ')') + " }}", R"(?)"),
      template_case("template_loops_for_ever",
                    "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}", R"(?)"),
      template_case("template_range_too_long", "{{ range(1000000000) }}", R"(?)"),
      template_case("template_text_times_a_billion", "{{ 'ab' * 1000000000 }}", R"(?)"),
      template_case("template_text_doubles", grow + "ns.v + ns.v %}{% endfor %}", R"(?)"),
      template_case("template_joins_large_texts",
                    grow + "ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v %}{% endfor %}", R"(?)"),
      template_case("template_list_doubles", grow + "[ns.v, ns.v] %}{% endfor %}{{ ns.v }}", R"(?)"),
      template_case("template_list_nests",
                    grow + "[ns.v] %}{% endfor %}{% for i in range(99) %}{% set ns.v = [ns.v] %}{% endfor %}",
                    R"(?)"),
      template_case("template_strips_for_ever", "{{ ('a' * 4000000).strip('b' * 4000000 + 'a') }}", R"(?)"),
      template_case("template_searches_for_ever", "{{ ('a' * 4000000 + 'b') in ('a' * 8000000) }}", R"(?)"),
      template_case("template_writes_too_much",
                    "{% set s = 'x' * 100000 %}{% for i in range(200) %}{{ s }}{% endfor %}", R"(?)"),
      template_case("template_too_long", std::string((1 << 20) + 1, 'x'), R"(?)"),
      {"template_is_a_number",
       "tokenize",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/tokenizer_config.json", R"({"chat_template": 3})"}},
       {"model=@/other"}},
      {"template_list_without_a_default",
       "tokenize",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": ""}]})"}},
       {"model=@/other"}},
      {"template_missing",
       "tokenize",
       R"(?)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"in.jsonl", R"({"messages": [{"role": "user", "content": "a"}]})"
                     "\n"}},
       {"model=@/other"}},
  };
}

}  // namespace prefer::testing
