// Malformed data: JSON, UTF-8, lines, gzip, and records that no program can use.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of in.jsonl, which tokenize reads: a good line, then these bytes.
inline Malformed line_case(const std::string& name, const std::string& bytes, const std::string& line) {
  return {name, "tokenize", line, {{"in.jsonl", "{\"text\": \"a\"}\n" + bytes + "\n"}}};
}

/// Text whose form is wrong, whatever it says.
inline std::vector<Malformed> json_cases() {
  return {
      line_case("json_cut_off", R"({"text": "a")", R"(?)"),
      line_case("json_over_several_lines", "{\n\"text\": \"a\"\n}", R"(?)"),
      line_case("json_two_on_a_line", R"({"text": "a"} {"text": "b"})", R"(?)"),
      line_case("json_trailing_comma", R"({"text": "a",})", R"(?)"),
      line_case("json_single_quotes", "{'text': 'a'}", R"(?)"),
      line_case("json_comment", R"({"text": "a"} // b)", R"(?)"),
      line_case("json_no_quotes", "text", R"(?)"),
      line_case("json_nan", R"({"ids": [NaN]})", R"(?)"),
      line_case("json_infinity", R"({"ids": [-Infinity]})", R"(?)"),
      line_case("json_beyond_double", R"({"ids": [1e999]})", R"(?)"),
      line_case("json_beyond_int64", R"({"ids": [9223372036854775808]})", R"(?)"),
      line_case("json_a_very_long_number", R"({"ids": [)" + std::string(100'000, '9') + "]}", R"(?)"),
      line_case("json_leading_zero", R"({"ids": [01]})", R"(?)"),
      line_case("json_deep", std::string(100'000, '['), R"(?)"),
      line_case(
          "json_deep_objects",
          [] {
            std::string text;
            for (int i = 0; i < 200; ++i) text += R"({"text": )";
            return text;
          }(),
          R"(?)"),
      line_case("json_key_twice", R"({"text": "a", "text": "b"})", R"(?)"),
      line_case("json_tab_in_string", "{\"text\": \"a\tb\"}", R"(?)"),
      line_case("json_bad_escape", R"({"text": "\x41"})", R"(?)"),
      line_case("json_lone_surrogate", R"({"text": "\ud83d"})", R"(?)"),
      line_case("utf8_stray_byte", "{\"text\": \"\xff\"}", R"(?)"),
      line_case("utf8_latin1", "{\"text\": \"caf\xe9\"}", R"(?)"),
      line_case("utf8_overlong", "{\"text\": \"\xc0\xaf\"}", R"(?)"),
      line_case("utf8_surrogate", "{\"text\": \"\xed\xa0\x80\"}", R"(?)"),
      line_case("utf8_cut_off", "{\"text\": \"\xe4\xb8\"}", R"(?)"),
      line_case("utf8_nul", std::string("{\"text\": \"a\0b\"}", 15), R"(?)"),
      {"utf16", "tokenize", R"(?)", {{"in.jsonl", std::string("\xff\xfe{\0\"\0t\0\"\0", 10)}}},
      {"a_picture", "tokenize", R"(?)", {{"in.jsonl", "\x89PNG\r\n\x1a\n\0\0"}}},
      {"old_mac_lines", "tokenize", R"(?)", {{"in.jsonl", "{\"text\": \"a\"}\r{\"text\": \"b\"}\r"}}},
      {"a_line_of_100_mb",
       "tokenize",
       R"(?)",
       {{"in.jsonl",
         [] {
           const std::string piece = gzip(std::string(10'000'000, 'x'));
           std::string all;
           for (int i = 0; i < 10; ++i) all += piece;
           return all;
         }()}}},
  };
}

inline std::vector<Malformed> file_cases() {
  const std::string packed = gzip("{\"text\": \"a\"}\n{\"text\": \"b\"}\n");
  return {
      {"input_missing", "tokenize", R"(?)", {}, {"input=@/none.jsonl"}},
      {"input_is_a_folder", "tokenize", R"(?)", {}, {"input=@/model"}},
      {"input_below_a_file", "tokenize", R"(?)", {}, {"input=@/in.jsonl/x"}},
      {"input_is_a_device", "tokenize", R"(?)", {}, {"input=/dev/null"}},
      {"input_has_an_empty_name", "tokenize", R"(?)", {}, {"input="}, Seen::by_program},
      {"gz_cut_off", "tokenize", R"(?)", {{"in.jsonl", packed.substr(0, packed.size() - 9)}}},
      {"gz_header_alone", "tokenize", R"(?)", {{"in.jsonl", packed.substr(0, 10)}}},
      {"gz_checksum", "tokenize", R"(?)", {{"in.jsonl", flipped(packed, -8)}}},
      {"gz_length", "tokenize", R"(?)", {{"in.jsonl", flipped(packed, -4)}}},
      {"gz_method", "tokenize", R"(?)", {{"in.jsonl", flipped(packed, 2)}}},
      {"gz_body", "tokenize", R"(?)", {{"in.jsonl", flipped(packed, 10, 1)}}},
      {"gz_garbage_behind", "tokenize", R"(?)", {{"in.jsonl", packed + "more"}}},
      {"gz_of_a_picture", "tokenize", R"(?)", {{"in.jsonl", gzip("\x89PNG\r\n\x1a\n")}}},
      {"gz_twice", "tokenize", R"(?)", {{"in.jsonl", gzip(packed)}}},
      {"gz_by_name_alone", "tokenize", R"(?)", {{"in.jsonl.gz", "{}"}}, {"input=@/in.jsonl.gz"}},
      {"gz_empty", "tokenize", R"(?)", {{"in.jsonl.gz", ""}}, {"input=@/in.jsonl.gz"}},
      {"gz_of_an_array",
       "dpo",
       R"(?)",
       {{"pairs.jsonl.gz", gzip(std::string("[") + kPair + "]")}},
       {"train=@/pairs.jsonl.gz"}},
      {"array_cut_off", "dpo", R"(?)", {{"pairs.jsonl", std::string("[\n") + kPair + ",\n"}}},
      {"array_of_texts", "dpo", R"(?)", {{"pairs.jsonl", "[\"a\", \"b\"]"}}},
      {"array_with_more_behind", "dpo", R"(?)", {{"pairs.jsonl", std::string("[") + kPair + "]\n" + kPair}}},
  };
}

/// What a text, a list of ids or messages may be.
inline std::vector<Malformed> text_cases() {
  const auto score = [](const char* name, const std::string& record, const char* line) {
    return Malformed{name, "score", line, {{"in.jsonl", record + "\n"}}};
  };
  const auto generate = [](const char* name, const std::string& record, const char* line) {
    return Malformed{name, "generate", line, {{"in.jsonl", record + "\n"}}};
  };
  return {
      line_case("record_without_text", "{}", R"(?)"),
      line_case("record_is_a_list", "[1]", R"(?)"),
      line_case("record_is_null", "null", R"(?)"),
      line_case("text_is_a_number", R"({"text": 3})", R"(?)"),
      line_case("ids_below_the_vocabulary", R"({"ids": [-1]})", R"(?)"),
      line_case("ids_above_the_vocabulary", R"({"ids": [2, 16]})", R"(?)"),
      line_case("ids_are_texts", R"({"ids": ["a"]})", R"(?)"),
      line_case("ids_are_no_list", R"({"ids": 3})", R"(?)"),
      line_case("messages_are_a_text", R"({"messages": "hi"})", R"(?)"),
      line_case("messages_empty", R"({"messages": []})", R"(?)"),
      line_case("message_is_a_text", R"({"messages": ["hi"]})", R"(?)"),
      line_case("message_without_role", R"({"messages": [{"content": "a"}]})", R"(?)"),
      line_case("message_without_content", R"({"messages": [{"role": "user"}]})", R"(?)"),
      line_case("message_content_is_a_number", R"({"messages": [{"role": "user", "content": 3}]})", R"(?)"),
      line_case("message_role_is_a_number", R"({"messages": [{"role": 1, "content": "a"}]})", R"(?)"),
      line_case("message_role_with_marks", R"({"messages": [{"role": "a|b", "content": ""}]})", R"(?)"),
      line_case("message_role_too_long",
                R"({"messages": [{"role": ")" + std::string(65, 'r') + R"(", "content": ""}]})", R"(?)"),
      line_case("message_from_nobody", R"({"messages": [{"from": "bard", "value": "a"}]})", R"(?)"),
      score("tokens_empty", R"({"tokens": []})", R"(?)"),
      score("tokens_with_a_fraction", R"({"tokens": [1.5]})", R"(?)"),
      score("completion_missing", R"({"prompt": "a"})", R"(?)"),
      generate("prompt_missing", R"({"text": "a"})", R"(?)"),
      generate("prompt_is_a_number", R"({"prompt": 3})", R"(?)"),
      generate("prompt_messages_are_a_text", R"({"messages": "hi"})", R"(?)"),
      generate("prompt_messages_empty", R"({"messages": []})", R"(?)"),
      {"prompt_fills_the_context",
       "generate",
       R"(?)",
       {{"in.jsonl",
         [] {
           std::string ids = R"({"prompt": ")";
           for (int i = 0; i < 70; ++i) ids += "ab";
           return ids + "\"}\n";
         }()}},
       {},
       Seen::by_program},
  };
}

/// Pairs.
inline std::vector<Malformed> pair_cases() {
  const auto pair = [](const char* name, const std::string& record, const char* line,
                       std::vector<std::string> arguments = {}) {
    return Malformed{name,
                     "dpo",
                     line,
                     {{"pairs.jsonl", std::string(kPair) + "\n" + record + "\n"}},
                     std::move(arguments)};
  };
  const std::string user = R"([{"role": "user", "content": "a"}])",
                    said = R"([{"role": "assistant", "content": "b"}])";
  return {
      {"pairs_none", "dpo", R"(?)", {{"pairs.jsonl", ""}}},
      {"pairs_blank_lines_alone", "dpo", R"(?)", {{"pairs.jsonl", "\n  \n\t\r\n"}}},
      pair("pair_is_a_list", "[1]", R"(?)"),
      pair("pair_without_rejected", R"({"prompt": "a", "chosen": " b"})", R"(?)"),
      pair("pair_without_chosen", R"({"prompt": "a", "rejected": " b"})", R"(?)"),
      pair("pair_with_another_form", R"({"instruction": "a", "chosen": "b", "rejected": "c"})", R"(?)"),
      pair("pair_chosen_is_a_number", R"({"prompt": "a", "chosen": 3, "rejected": " b"})", R"(?)"),
      pair("pair_chosen_is_null", R"({"prompt": "a", "chosen": null, "rejected": " b"})", R"(?)"),
      pair("pair_prompt_is_a_number", R"({"prompt": 1, "chosen": " a", "rejected": " b"})", R"(?)"),
      pair("pair_prompt_has_no_messages", R"({"prompt": [], "chosen": " a", "rejected": " b"})", R"(?)"),
      pair("pair_equal", R"({"prompt": "a", "chosen": " b", "rejected": " b"})", R"(?)"),
      pair("pair_equal_without_prompt", R"({"chosen": "a b", "rejected": "a b"})", R"(?)"),
      pair("pair_chosen_empty", R"({"prompt": "a", "chosen": "", "rejected": " b"})", R"(?)"),
      pair("pair_rejected_blank", R"({"prompt": "a", "chosen": " b", "rejected": " \n"})", R"(?)"),
      pair("pair_chosen_has_no_messages",
           R"({"prompt": )" + user + R"(, "chosen": [], "rejected": )" + said + "}", R"(?)"),
      pair("pair_ends_with_the_user",
           R"({"prompt": "a", "chosen": )" + user + R"(, "rejected": )" + said + "}", R"(?)"),
      pair("pair_of_an_unknown_role",
           R"({"prompt": "a", "chosen": [{"role": "bard", "content": "b"}], "rejected": )" + said + "}",
           R"(?)"),
      pair("pair_of_text_and_messages", R"({"chosen": "a", "rejected": )" + said + "}", R"(?)"),
      pair("pair_score_is_a_text",
           R"({"prompt": "a", "chosen": " b", "rejected": " c", "score_chosen": "7"})", R"(?)"),
      pair("pair_message_content_is_a_list_of_numbers",
           R"({"prompt": "a", "chosen": [{"role": "assistant", "content": [1]}], "rejected": )" + said + "}",
           R"(?)"),
      {"pairs_cut_to_nothing", "dpo", R"(?)", {}, {"max_length=2"}},
      {"pairs_cut_to_the_same",
       "dpo",
       R"(?)",
       {{"pairs.jsonl", R"({"prompt": "a b", "chosen": " c d", "rejected": " c e"})"
                        "\n"}},
       {"max_length=6"}},
      {"pairs_all_lose_their_end",
       "dpo",
       R"(?)",
       {{"pairs.jsonl", R"({"prompt": "a", "chosen": " c d e f", "rejected": " d e f g"})"
                        "\n"}},
       {"max_length=5"}},
      {"pairs_longer_than_the_context",
       "dpo",
       R"(?)",
       {{"pairs.jsonl",
         [] {
           std::string words;
           for (int i = 0; i < 70; ++i) words += " c";
           return R"({"prompt": "a", "chosen": ")" + words +
                  R"(", "rejected": " d"})"
                  "\n" +
                  kPair + "\n";
         }()}},
       {"max_length=0"},
       Seen::by_program},
  };
}

}  // namespace prefer::testing
