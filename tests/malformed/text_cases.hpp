// Malformed tokenizers and chat templates.
#pragma once

#include "tests/malformed/model_cases.hpp"

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
  Malformed catastrophe = split("tokenizer_regex_without_end", "(a+)+[xy]",
                                R"(@/in.jsonl:1:1: regular expression "(a+)+[xy]": match limit exceeded)");
  catastrophe.files["in.jsonl"] = "{\"text\": \"" + std::string(64, 'a') + "\"}\n";
  Malformed decoder = tokenizer_case(
      "tokenizer_decoder_grows", with(good, R"({"type": "ByteLevel"})", doublings("decoders", 60)),
      R"(@/in.jsonl:1:1: the decoder makes more than 1048576 bytes of a token)");
  decoder.files["in.jsonl"] = "{\"ids\": [2]}\n";
  return {
      {"tokenizer_missing",
       "tokenize",
       R"(@/empty: neither tokenizer.json nor tokenizer.model is in this folder)",
       {{"empty/", ""}},
       {"model=@/empty"}},
      {"tokenizer_is_a_folder",
       "tokenize",
       R"(@/other/tokenizer.json: could not open: Is a directory)",
       {{"other/tokenizer.json/", ""}},
       {"model=@/other"}},
      tokenizer_case(
          "tokenizer_empty", "",
          R"(@/model/tokenizer.json:1:1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal)"),
      tokenizer_case(
          "tokenizer_cut_off", good.substr(0, 200),
          R"(@/model/tokenizer.json:3:55: syntax error while parsing object key - invalid string: missing closing quote)"),
      tokenizer_case("tokenizer_is_a_pointer", kLfsPointer,
                     std::string("@/model/tokenizer.json") + kIsLfsPointer),
      tokenizer_case("tokenizer_without_a_model", "{}", R"(@/model/tokenizer.json:1:1: "model" is missing)"),
      changed("tokenizer_of_another_kind", R"("type": "BPE")", R"("type": "Unigram")",
              R"(@/model/tokenizer.json:7:19: model "Unigram" is not implemented; known is BPE)"),
      changed("tokenizer_id_twice", R"("b": 3)", R"("b": 2)",
              R"(@/model/tokenizer.json:8:45: tokens "a" and "b" share the id 2)"),
      changed("tokenizer_id_negative", R"("b": 3)", R"("b": -3)",
              R"(@/model/tokenizer.json:8:45: token "b" has id -3; ids are from 0 to 1999999)"),
      changed("tokenizer_id_beyond_the_cap", R"("b": 3)", R"("b": 4000000000)",
              R"(@/model/tokenizer.json:8:45: token "b" has id 4000000000; ids are from 0 to 1999999)"),
      changed("tokenizer_with_a_hole", R"("r": 15)", R"("r": 17)",
              R"(@/model/tokenizer.json: no token has id 15, though the largest id is 17)"),
      changed("tokenizer_merge_of_unknown_tokens", R"("a b")", R"("a q")",
              R"(@/model/tokenizer.json:7:37: the merge names "q", which is not in the vocabulary)"),
      changed("tokenizer_merge_into_nothing", R"("a b")", R"("b a")",
              R"(@/model/tokenizer.json:7:37: the merge names "ba", which is not in the vocabulary)"),
      changed(
          "tokenizer_merge_of_three", R"("a b")", R"("a b c")",
          R"(@/model/tokenizer.json:7:37: a merge is two tokens with one space between them, not "a b c")"),
      changed("tokenizer_added_token_has_another_id", R"("id": 1, "content")", R"("id": 5, "content")",
              R"(@/model/tokenizer.json:1:65: token "</s>" has two ids, 1 and 5)"),
      changed(
          "tokenizer_normalizer_unknown", R"({"type": "NFC"})", R"({"type": "NFKD"})",
          R"(@/model/tokenizer.json:3:61: normalizer "NFKD" is not implemented; known are NFC, Lowercase, Strip, Prepend, Replace, Sequence)"),
      tokenizer_case(
          "tokenizer_pre_tokenizer_unknown",
          tokenizer_json(R"(, "pre_tokenizer": {"type": "WhitespaceSplit"})"),
          R"(@/model/tokenizer.json:2:61: pre_tokenizer "WhitespaceSplit" is not implemented; known are ByteLevel, Split, Digits, Metaspace, Sequence)"),
      split("tokenizer_regex_not_closed", "(",
            R"(@/model/tokenizer.json:2:91: regular expression "(": missing closing parenthesis)"),
      split(
          "tokenizer_regex_too_large", "((a{1000}){1000}){1000}",
          R"(@/model/tokenizer.json:2:91: regular expression "((a{1000}){1000}){1000}": regular expression is too large)"),
      split(
          "tokenizer_regex_escape_unknown", R"(\\R)",
          R"(@/model/tokenizer.json:2:91: regular expression "\\R": the escape \R is not supported; s S w W d D p P r n t f x A z are)"),
      catastrophe,
      tokenizer_case(
          "tokenizer_normalizer_grows", tokenizer_json(", \"normalizer\": " + doublings("normalizers", 60)),
          R"(@/in.jsonl:1:1: the tokenizer's replacements make 8194 bytes of a text of 3; at most 64 times as many are allowed)"),
      tokenizer_case(
          "tokenizer_pre_tokenizer_grows",
          tokenizer_json(R"(, "pre_tokenizer": {"type": "Metaspace", "replacement": ")" +
                         std::string(100'000, 'a') + "\"}"),
          R"(@/in.jsonl:1:1: the tokenizer's replacements make 100000 bytes of a text of 3; at most 64 times as many are allowed)"),
      decoder,
      tokenizer_case(
          "tokenizer_puts_an_unknown_token_first",
          tokenizer_json(
              R"(, "post_processor": {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": "<bos>"}}]})"),
          R"(@/model/tokenizer.json: the post_processor adds "<bos>", which is not in the vocabulary)"),
      config(
          "tokenizer_config_cut_off", "{",
          R"(@/model/tokenizer_config.json:1:2: syntax error while parsing object key - unexpected end of input; expected string literal)"),
      config("tokenizer_config_names_an_unknown_token", R"({"bos_token": "<bos>"})",
             R"(@/model/tokenizer_config.json:1:15: bos_token is "<bos>", which is not in the vocabulary)"),
      config("tokenizer_config_flag_is_a_text", R"({"add_bos_token": "yes"})",
             R"(@/model/tokenizer_config.json:1:19: expected a boolean, found a string)"),
      config("tokenizer_config_adds_under_a_name", R"({"added_tokens_decoder": {"x": {"content": "y"}}})",
             R"(@/model/tokenizer_config.json:1:32: added_tokens_decoder wants ids as keys, not "x")"),
  };
}

/// A case of a sentencepiece model.
inline std::vector<Malformed> sentencepiece_cases() {
  const auto model = [](const char* name, const std::string& bytes, const char* line) {
    return Malformed{name, "tokenize", line, {{"t.model", bytes}}, {"model=@/t.model"}};
  };
  const std::string good = tokenizer_model();
  const auto map = [](const std::string& bytes) { return proto(3, proto(2, bytes)); };
  const auto added = [good](const char* name, const char* json, const char* line) {
    return Malformed{name,
                     "tokenize",
                     line,
                     {{"sp/tokenizer.model", good}, {"sp/added_tokens.json", json}},
                     {"model=@/sp"}};
  };
  return {
      model("sentencepiece_empty", "", R"(@/t.model: not a sentencepiece model: unk is not defined.)"),
      model("sentencepiece_is_a_pointer", kLfsPointer, (std::string("@/t.model") + kIsLfsPointer).c_str()),
      model("sentencepiece_is_a_text", "once upon a time",
            R"(@/t.model: not a sentencepiece model: broken protocol buffer)"),
      model("sentencepiece_cut_off", good.substr(0, 40),
            R"(@/t.model: not a sentencepiece model: broken protocol buffer)"),
      model("sentencepiece_without_pieces", proto(2, proto(3, 2)),
            R"(@/t.model: not a sentencepiece model: unk is not defined.)"),
      model("sentencepiece_without_an_unknown", piece("a", -1) + proto(2, proto(3, 2)),
            R"(@/t.model: not a sentencepiece model: unk is not defined.)"),
      model("sentencepiece_piece_twice", good + piece("a", -2),
            R"(@/t.model: not a sentencepiece model: a is already defined.)"),
      model("sentencepiece_piece_is_no_utf8", good + piece("\xff", -2), R"(@/t.model: piece 9 is not UTF-8)"),
      model("sentencepiece_piece_with_a_nul", good + piece(std::string("\0a", 2), -2, 4),
            R"(@/t.model: piece 9 holds a NUL byte)"),
      model("sentencepiece_table_cut_off", good + map("abc"),
            R"(@/t.model: the sentencepiece model's table of characters is damaged)"),
      model("sentencepiece_table_with_a_value_for_its_root",
            good + map(bytes_of(1024u) + bytes_of(0xffffffffu) + std::string(1020, '\0') + "a"),
            R"(@/t.model: the sentencepiece model's table of characters is damaged)"),
      model("sentencepiece_table_points_outside",
            good + map(bytes_of(4u) + bytes_of(0xffffu << 10) + std::string("a\0", 2)),
            R"(@/t.model: the sentencepiece model's table of characters is damaged)"),
      added("added_tokens_are_a_list", "[]",
            R"(@/sp/added_tokens.json:1:1: expected an object, found an array)"),
      added("added_tokens_id_is_a_text", R"({"<x>": "9"})",
            R"(@/sp/added_tokens.json:1:9: expected an integer, found a string)"),
      added("added_tokens_id_negative", R"({"<x>": -9})",
            R"(@/sp/added_tokens.json:1:9: token "<x>" has id -9; ids are from 0 to 1999999)"),
      added("added_tokens_id_beyond_the_cap", R"({"a": 4294967300})",
            R"(@/sp/added_tokens.json:1:7: token "a" has id 4294967300; ids are from 0 to 1999999)"),
      added("added_tokens_id_twice", R"({"<x>": 9, "<y>": 9})",
            R"(@/sp/added_tokens.json:1:19: tokens "<x>" and "<y>" share the id 9)"),
      added("added_tokens_have_a_piece_under_another_id", R"({"a": 9})",
            R"(@/sp/added_tokens.json:1:7: token "a" has two ids, 4 and 9)"),
      added("added_tokens_with_a_hole", R"({"<x>": 11})",
            R"(@/sp: no token has id 9, though the largest id is 11)"),
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
      template_case("template_not_closed", "{% if true %}a",
                    R"(@/model/chat_template.jinja:1:15: the template ends where endif is missing)"),
      template_case("template_expression_not_closed", "a\n {{ 'b' ",
                    R"(@/model/chat_template.jinja:2:2: the expression is not closed)"),
      template_case("template_bracket_wrong", "{{ (1] }}",
                    R"(@/model/chat_template.jinja:1:6: unexpected ])"),
      template_case("template_statement_unknown", "a\n  {% include 'x' %}",
                    R"(@/model/chat_template.jinja:2:6: statement include is not supported)"),
      template_case("template_filter_unknown", "{{ 'a' | urlize }}",
                    R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:10: filter urlize is not supported)"),
      template_case(
          "template_name_unknown", "{{ missing.x }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:11: undefined (missing) has no attribute x)"),
      template_case(
          "template_refuses", "{{ raise_exception('no\nsuch role') }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:19: the template refuses: no such role)"),
      template_case("template_divides_by_zero", "{{ 1 // 0 }}",
                    R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:6: division by zero)"),
      template_case(
          "template_overflows", "{{ 9223372036854775807 + 1 }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:24: the result of + does not fit 64 bits)"),
      template_case(
          "template_index_overflows", "{{ 'a'[9223372036854775807].x }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:28: undefined (item 9223372036854775807) has no attribute x)"),
      template_case("template_number_beyond_double", "{{ 1e999 }}",
                    R"(@/model/chat_template.jinja:1:4: number 1e999 is beyond the range of a double)"),
      template_case(
          "template_int_of_nan", "{{ ((10.0 ** 400) - (10.0 ** 400)) | int }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:38: int of a number that is not finite)"),
      template_case(
          "template_recursion", "{% macro f() %}{{ f() }}{% endmacro %}{{ f() }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:20: macros call each other deeper than 64)"),
      template_case("template_nested", "{{ " + deep + "1" + std::string(500, ')') + " }}",
                    R"(@/model/chat_template.jinja:1:35: the template nests deeper than 64)"),
      template_case(
          "template_loops_for_ever",
          "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:31: the template takes more than 10000000 steps)"),
      template_case("template_range_too_long", "{{ range(1000000000) }}",
                    R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:9: range is longer than 100000)"),
      template_case(
          "template_text_times_a_billion", "{{ 'ab' * 1000000000 }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:9: the template makes a text of more than 16777216 bytes)"),
      template_case(
          "template_text_doubles", grow + "ns.v + ns.v %}{% endfor %}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:82: the template makes a text of more than 16777216 bytes)"),
      template_case(
          "template_joins_large_texts",
          grow + "ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v ~ ns.v %}{% endfor %}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:77: the template makes a text of more than 16777216 bytes)"),
      template_case(
          "template_list_doubles", grow + "[ns.v, ns.v] %}{% endfor %}{{ ns.v }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:77: lists and dictionaries hold more than 67108864 values and bytes)"),
      template_case(
          "template_list_nests",
          grow + "[ns.v] %}{% endfor %}{% for i in range(99) %}{% set ns.v = [ns.v] %}{% endfor %}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:136: lists and dictionaries nest deeper than 160)"),
      template_case(
          "template_strips_for_ever", "{{ ('a' * 4000000).strip('b' * 4000000 + 'a') }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:25: the template takes more than 10000000 steps)"),
      template_case(
          "template_searches_for_ever", "{{ ('a' * 4000000 + 'b') in ('a' * 8000000) }}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:34: the template takes more than 10000000 steps)"),
      template_case(
          "template_writes_too_much",
          "{% set s = 'x' * 100000 %}{% for i in range(200) %}{{ s }}{% endfor %}",
          R"(@/in.jsonl:1:14: @/model/chat_template.jinja:1:52: the output is longer than 16777216 bytes)"),
      template_case("template_too_long", std::string((1 << 20) + 1, 'x'),
                    R"(@/model/chat_template.jinja: 1048577 bytes, more than the 1048576 allowed)"),
      {"template_is_a_number",
       "tokenize",
       R"(@/other/tokenizer_config.json:1:19: chat_template is a text or a list of named texts, not an integer)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/tokenizer_config.json", R"({"chat_template": 3})"}},
       {"model=@/other"}},
      {"template_list_without_a_default",
       "tokenize",
       R"(@/other/tokenizer_config.json:1:19: none of the chat templates is named "default")",
       {{"other/tokenizer.json", tokenizer_json()},
        {"other/tokenizer_config.json", R"({"chat_template": [{"name": "rag", "template": ""}]})"}},
       {"model=@/other"}},
      {"template_missing",
       "tokenize",
       R"(@/in.jsonl:1:14: the tokenizer has no chat template; messages need one)",
       {{"other/tokenizer.json", tokenizer_json()},
        {"in.jsonl", R"({"messages": [{"role": "user", "content": "a"}]})"
                     "\n"}},
       {"model=@/other"}},
  };
}

}  // namespace prefer::testing
