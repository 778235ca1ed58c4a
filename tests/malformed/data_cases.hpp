// Malformed data: JSON, UTF-8, lines, gzip, and records that no program can use.
#pragma once

#include "tests/malformed/malformed.hpp"

namespace prefer::testing {

/// A case of in.jsonl, which tokenize reads: a blank line, then these bytes.
inline Malformed line_case(const std::string& name, const std::string& bytes, const std::string& line) {
  return {name, "tokenize", line, {{"in.jsonl", "\n" + bytes + "\n"}}};
}

/// Text whose form is wrong, whatever it says.
inline std::vector<Malformed> json_cases() {
  return {
      line_case(
          "json_cut_off", R"({"text": "a")",
          R"(@/in.jsonl:2:13: syntax error while parsing object - unexpected end of input; expected '}')"),
      line_case(
          "json_over_several_lines", "{\n\"text\": \"a\"\n}",
          R"(@/in.jsonl:2:2: syntax error while parsing object key - unexpected end of input; expected string literal)"),
      line_case(
          "json_two_on_a_line", R"({"text": "a"} {"text": "b"})",
          R"(@/in.jsonl:2:15: syntax error while parsing value - unexpected '{'; expected end of input)"),
      line_case(
          "json_trailing_comma", R"({"text": "a",})",
          R"(@/in.jsonl:2:14: syntax error while parsing object key - unexpected '}'; expected string literal)"),
      line_case("json_single_quotes", "{'text': 'a'}",
                R"(@/in.jsonl:2:2: syntax error while parsing object key - invalid literal; seen "'text'")"),
      line_case("json_comment", R"({"text": "a"} // b)",
                R"(@/in.jsonl:2:15: syntax error while parsing value - invalid literal; seen "//")"),
      line_case("json_no_quotes", "text",
                R"(@/in.jsonl:2:1: a record is a line of JSON, {...}, and this line begins with "text")"),
      line_case("json_nan", R"({"ids": [NaN]})",
                R"(@/in.jsonl:2:10: syntax error while parsing value - invalid literal; seen "NaN")"),
      line_case("json_of_python", R"({"ids": [None]})",
                R"(@/in.jsonl:2:10: syntax error while parsing value - invalid literal; seen "None")"),
      line_case("json_word_cut_off", R"({"ids": tru})",
                R"(@/in.jsonl:2:12: syntax error while parsing value - invalid literal; seen "tru")"),
      line_case("json_control_character", "{\"ids\": \x01}",
                R"(@/in.jsonl:2:9: syntax error while parsing value - invalid literal; seen "\u0001")"),
      line_case(
          "json_infinity", R"({"ids": [-Infinity]})",
          R"(@/in.jsonl:2:11: syntax error while parsing value - invalid number; expected digit after '-'; seen "-Infinity")"),
      line_case("json_beyond_double", R"({"ids": [1e999]})",
                R"(@/in.jsonl:2:10: a number beyond the range of a double)"),
      line_case("json_beyond_int64", R"({"ids": [9223372036854775808]})",
                R"(@/in.jsonl:2:10: expected an integer, found a number)"),
      line_case("json_a_very_long_number", R"({"ids": [)" + std::string(100'000, '9') + "]}",
                R"(@/in.jsonl:2:10: a number beyond the range of a double)"),
      line_case(
          "json_leading_zero", R"({"ids": [01]})",
          R"(@/in.jsonl:2:11: syntax error while parsing array - unexpected number literal; expected ']')"),
      line_case("json_deep", std::string(100'000, '['), R"(@/in.jsonl:2:129: nested deeper than 128)"),
      line_case(
          "json_deep_objects",
          [] {
            std::string text;
            for (int i = 0; i < 200; ++i) text += R"({"text": )";
            return text;
          }(),
          R"(@/in.jsonl:2:1153: nested deeper than 128)"),
      line_case("json_key_twice", R"({"text": "a", "text": "b"})",
                R"(@/in.jsonl:2:23: the key "text" stands twice)"),
      line_case(
          "json_tab_in_string", "{\"text\": \"a\tb\"}",
          R"(@/in.jsonl:2:12: syntax error while parsing value - invalid string: control character U+0009 (HT) must be escaped to \u0009 or \t)"),
      line_case(
          "json_bad_escape", R"({"text": "\x41"})",
          R"(@/in.jsonl:2:12: syntax error while parsing value - invalid string: forbidden character after backslash)"),
      line_case(
          "json_lone_surrogate", R"({"text": "\ud83d"})",
          R"(@/in.jsonl:2:17: syntax error while parsing value - invalid string: surrogate U+D800..U+DBFF must be followed by U+DC00..U+DFFF)"),
      line_case(
          "utf8_stray_byte", "{\"text\": \"\xff\"}",
          R"(@/in.jsonl:2:11: syntax error while parsing value - invalid string: ill-formed UTF-8 byte)"),
      line_case(
          "utf8_latin1", "{\"text\": \"caf\xe9\"}",
          R"(@/in.jsonl:2:15: syntax error while parsing value - invalid string: ill-formed UTF-8 byte)"),
      line_case(
          "utf8_overlong", "{\"text\": \"\xc0\xaf\"}",
          R"(@/in.jsonl:2:11: syntax error while parsing value - invalid string: ill-formed UTF-8 byte)"),
      line_case(
          "utf8_surrogate", "{\"text\": \"\xed\xa0\x80\"}",
          R"(@/in.jsonl:2:12: syntax error while parsing value - invalid string: ill-formed UTF-8 byte)"),
      line_case(
          "utf8_cut_off", "{\"text\": \"\xe4\xb8\"}",
          R"(@/in.jsonl:2:13: syntax error while parsing value - invalid string: ill-formed UTF-8 byte)"),
      line_case("utf8_nul", std::string("{\"text\": \"a\0b\"}", 15), R"(@/in.jsonl:2:12: a NUL byte)"),
      {"utf16",
       "tokenize",
       R"(@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line is UTF-16; UTF-8 is wanted)",
       {{"in.jsonl", std::string("\xff\xfe{\0\"\0t\0\"\0", 10)}}},
      {"parquet",
       "tokenize",
       R"(@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line is Parquet; lines of JSON are wanted)",
       {{"in.jsonl", std::string("PAR1\x15\0\n", 7)}}},
      {"zstd",
       "tokenize",
       R"(@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line is zstd; plain text or gzip is wanted)",
       {{"in.jsonl", std::string("\x28\xb5\x2f\xfd\0\n", 6)}}},
      {"a_picture",
       "tokenize",
       "@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line begins with \"\uFFFDPNG\"",
       {{"in.jsonl", "\x89PNG\r\n\x1a\n\0\0"}}},
      {"a_table",
       "dpo",
       R"(@/pairs.csv:1:1: a record is a line of JSON, {...}, and this line begins with "prompt,chosen,rejected")",
       {{"pairs.csv", "prompt,chosen,rejected\nHi,Hello,No\n"}},
       {"train=@/pairs.csv"}},
      {"old_mac_lines",
       "tokenize",
       R"(@/in.jsonl:1:15: syntax error while parsing value - unexpected '{'; expected end of input)",
       {{"in.jsonl", "{\"text\": \"a\"}\r{\"text\": \"b\"}\r"}}},
      {"a_line_of_100_mb",
       "tokenize",
       R"(@/in.jsonl:1:1: the line is longer than 16777216 bytes)",
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
      {"input_missing",
       "tokenize",
       R"(@/none.jsonl: could not open: No such file or directory)",
       {},
       {"input=@/none.jsonl"}},
      {"input_is_a_folder", "tokenize", R"(@/model: could not open: Is a directory)", {}, {"input=@/model"}},
      {"input_below_a_file",
       "tokenize",
       R"(@/in.jsonl/x: could not open: Not a directory)",
       {},
       {"input=@/in.jsonl/x"}},
      {"input_is_a_device", "tokenize", R"(/dev/null: is not a regular file)", {}, {"input=/dev/null"}},
      {"input_has_an_empty_name",
       "tokenize",
       R"(input=: must not be empty)",
       {},
       {"input="},
       Seen::by_program},
      {"gz_cut_off",
       "score",
       R"(@/in.jsonl:3:1: gzip data end early; 2 good lines came before)",
       {{"in.jsonl", packed.substr(0, packed.size() - 9)}}},
      {"gz_header_alone",
       "tokenize",
       R"(@/in.jsonl:1:1: gzip data end early; 0 good lines came before)",
       {{"in.jsonl", packed.substr(0, 10)}}},
      {"gz_checksum",
       "tokenize",
       R"(@/in.jsonl:1:1: gzip data are damaged: incorrect data check; 0 good lines came before)",
       {{"in.jsonl", flipped(packed, -8)}}},
      {"gz_length",
       "tokenize",
       R"(@/in.jsonl:1:1: gzip data are damaged: incorrect length check; 0 good lines came before)",
       {{"in.jsonl", flipped(packed, -4)}}},
      {"gz_method",
       "tokenize",
       R"(@/in.jsonl:1:1: gzip data are damaged: unknown compression method; 0 good lines came before)",
       {{"in.jsonl", flipped(packed, 2)}}},
      {"gz_body",
       "tokenize",
       R"(@/in.jsonl:1:1: gzip data are damaged: invalid stored block lengths; 0 good lines came before)",
       {{"in.jsonl", flipped(packed, 10, 1)}}},
      {"gz_garbage_behind",
       "score",
       R"(@/in.jsonl:3:1: gzip data are damaged: incorrect header check; 2 good lines came before)",
       {{"in.jsonl", packed + "more"}}},
      {"gz_of_a_picture",
       "tokenize",
       "@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line begins with \"\uFFFDPNG\"",
       {{"in.jsonl", gzip("\x89PNG\r\n\x1a\n")}}},
      {"gz_twice",
       "tokenize",
       R"(@/in.jsonl:1:1: a record is a line of JSON, {...}, and this line is gzip, packed once more)",
       {{"in.jsonl", gzip(packed)}}},
      {"gz_by_name_alone",
       "tokenize",
       R"(@/in.jsonl.gz: is no gzip file, as its name says)",
       {{"in.jsonl.gz", "{}"}},
       {"input=@/in.jsonl.gz"}},
      {"gz_empty",
       "tokenize",
       R"(@/in.jsonl.gz: is no gzip file, as its name says)",
       {{"in.jsonl.gz", ""}},
       {"input=@/in.jsonl.gz"}},
      {"gz_of_an_array",
       "dpo",
       R"(@/pairs.jsonl.gz:1:1: a JSON array must not be packed; JSONL may be)",
       {{"pairs.jsonl.gz", gzip(std::string("[") + kPair + "]")}},
       {"train=@/pairs.jsonl.gz"}},
      {"gz_of_an_array_by_its_bytes",
       "dpo",
       R"(@/pairs.jsonl:1:1: a JSON array must not be packed; JSONL may be)",
       {{"pairs.jsonl", gzip(std::string("[") + kPair + "]")}}},
      {"array_cut_off",
       "dpo",
       R"(@/pairs.jsonl:3:1: syntax error while parsing value - unexpected end of input; expected '[', '{', or a literal)",
       {{"pairs.jsonl", std::string("[\n") + kPair + ",\n"}}},
      {"array_of_texts",
       "dpo",
       R"(@/pairs.jsonl:1:2: a record must be an object, not a string)",
       {{"pairs.jsonl", "[\"a\", \"b\"]"}}},
      {"array_with_more_behind",
       "dpo",
       R"(@/pairs.jsonl:2:1: syntax error while parsing value - unexpected '{'; expected end of input)",
       {{"pairs.jsonl", std::string("[") + kPair + "]\n" + kPair}}},
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
      line_case("record_of_no_form", R"({"content": "a", "id": 3})",
                "@/in.jsonl:2:1: a record of {content, id} is of no known form; known are {text}, {messages} "
                "and {ids}"),
      line_case("array_of_a_number", "[1]", R"(@/in.jsonl:2:2: expected an object, found an integer)"),
      line_case("record_is_null", "null", R"(@/in.jsonl:2:1: expected an object, found null)"),
      line_case("text_is_a_number", R"({"text": 3})",
                R"(@/in.jsonl:2:10: expected a string, found an integer)"),
      line_case(
          "text_to_convert_with_a_system", R"({"text": "a", "system": "b"})",
          R"(@/in.jsonl:2:25: "system" beside texts is not read: put it into the text, or give messages)"),
      line_case("ids_below_the_vocabulary", R"({"ids": [-1]})",
                R"(@/in.jsonl:2:10: a token id lies in 0..15, not -1)"),
      line_case("ids_above_the_vocabulary", R"({"ids": [2, 16]})",
                R"(@/in.jsonl:2:13: a token id lies in 0..15, not 16)"),
      line_case("ids_are_texts", R"({"ids": ["a"]})",
                R"(@/in.jsonl:2:10: expected an integer, found a string)"),
      line_case("ids_are_no_list", R"({"ids": 3})", R"(@/in.jsonl:2:9: expected an array, found an integer)"),
      line_case("messages_are_a_text", R"({"messages": "hi"})",
                R"(@/in.jsonl:2:14: expected an array, found a string)"),
      line_case("messages_empty", R"({"messages": []})", R"(@/in.jsonl:2:14: there are no messages)"),
      line_case("message_is_a_text", R"({"messages": ["hi"]})",
                R"(@/in.jsonl:2:15: a message must be an object with role and content, not a string)"),
      line_case("message_without_role", R"({"messages": [{"content": "a"}]})",
                R"(@/in.jsonl:2:15: "role" is missing)"),
      line_case("message_without_content", R"({"messages": [{"role": "user"}]})",
                R"(@/in.jsonl:2:15: "content" is missing)"),
      line_case("message_content_is_a_number", R"({"messages": [{"role": "user", "content": 3}]})",
                R"(@/in.jsonl:2:43: content must be a string or a list of parts, not an integer)"),
      line_case("message_role_is_a_number", R"({"messages": [{"role": 1, "content": "a"}]})",
                R"(@/in.jsonl:2:24: expected a string, found an integer)"),
      line_case("message_role_with_marks", R"({"messages": [{"role": "a|b", "content": ""}]})",
                R"(@/in.jsonl:2:24: role "a|b" is not 1 to 64 of [A-Za-z0-9_.-])"),
      line_case(
          "message_role_too_long",
          R"({"messages": [{"role": ")" + std::string(65, 'r') + R"(", "content": ""}]})",
          R"(@/in.jsonl:2:24: role "rrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrrr" is not 1 to 64 of [A-Za-z0-9_.-])"),
      line_case(
          "message_from_nobody", R"({"messages": [{"from": "robot", "value": "a"}]})",
          R"(@/in.jsonl:2:24: from is "robot"; known are human, user, gpt, assistant, chatgpt, bard, system, function_call, observation, tool)"),
      score(
          "record_to_score_of_no_form", R"({"ids": [3]})",
          "@/in.jsonl:1:1: a record of {ids} is of no known form; known are {text}, {tokens}, {messages} and "
          "{prompt, completion}"),
      score("tokens_empty", R"({"tokens": []})", R"(@/in.jsonl:1:1: there are no tokens to score)"),
      score("tokens_with_a_fraction", R"({"tokens": [1.5]})",
            R"(@/in.jsonl:1:13: expected an integer, found a number)"),
      score("completion_missing", R"({"prompt": "a"})", R"(@/in.jsonl:1:1: "completion" is missing)"),
      generate("prompt_missing", R"({"text": "a"})", R"(@/in.jsonl:1:1: "prompt" or "messages" is missing)"),
      generate("prompt_is_a_number", R"({"prompt": 3})",
               R"(@/in.jsonl:1:12: must be a string or a list of messages, not an integer)"),
      generate("prompt_messages_are_a_text", R"({"messages": "hi"})",
               R"(@/in.jsonl:1:14: messages must be a list, not a string)"),
      generate("prompt_messages_empty", R"({"messages": []})", R"(@/in.jsonl:1:14: there are no messages)"),
      {"prompt_fills_the_context",
       "generate",
       R"(@/in.jsonl:1:12: the prompt has 71 tokens, and the context of @/model is 64: there is no room for an answer)",
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
      {"pairs_none", "dpo", R"(@/pairs.jsonl: no pair to train on)", {{"pairs.jsonl", ""}}},
      {"pairs_blank_lines_alone",
       "dpo",
       R"(@/pairs.jsonl: no pair to train on; 3 blank lines)",
       {{"pairs.jsonl", "\n  \n\t\r\n"}}},
      pair("pair_is_a_list", "[1]", R"(@/pairs.jsonl:2:1: a record must be an object, not an array)"),
      pair(
          "pair_of_no_form", R"({"question": "a", "good": " b", "bad": " c"})",
          R"(@/pairs.jsonl:2:1: a record of {question, good, bad} is of no known form; known are {prompt, chosen, rejected}, {conversations, chosen, rejected} and {chosen, rejected})"),
      pair("pair_without_rejected", R"({"prompt": "a", "chosen": " b"})",
           R"(@/pairs.jsonl:2:1: "rejected" is missing)"),
      pair("pair_without_chosen", R"({"prompt": "a", "rejected": " b"})",
           R"(@/pairs.jsonl:2:1: "chosen" is missing)"),
      pair(
          "pair_of_a_ranking", R"({"prompt": "a", "answers": ["b", "c"], "ranks": [1, 2]})",
          R"(@/pairs.jsonl:2:1: "chosen" is missing (the record has "answers": a ranking, which reward reads with loss.name=plackett_luce))"),
      pair(
          "pair_with_another_form", R"({"instruction": "a", "chosen": "b", "rejected": "c"})",
          R"(@/pairs.jsonl:2:1: "prompt" is missing (the record has "instruction", which is not read as one))"),
      pair("pair_chosen_is_a_number", R"({"prompt": "a", "chosen": 3, "rejected": " b"})",
           R"(@/pairs.jsonl:2:27: must be a string or a list of messages, not an integer)"),
      pair("pair_chosen_is_null", R"({"prompt": "a", "chosen": null, "rejected": " b"})",
           R"(@/pairs.jsonl:2:27: "chosen" is null)"),
      pair("pair_prompt_is_a_number", R"({"prompt": 1, "chosen": " a", "rejected": " b"})",
           R"(@/pairs.jsonl:2:12: must be a string or a list of messages, not an integer)"),
      pair("pair_prompt_has_no_messages", R"({"prompt": [], "chosen": " a", "rejected": " b"})",
           R"(@/pairs.jsonl:2:12: the prompt has no messages)"),
      pair("pair_equal", R"({"prompt": "a", "chosen": " b", "rejected": " b"})",
           R"(@/pairs.jsonl:2:1: chosen equals rejected)"),
      pair("pair_equal_without_prompt", R"({"chosen": "a b", "rejected": "a b"})",
           R"(@/pairs.jsonl:2:1: chosen equals rejected)"),
      pair("pair_chosen_empty", R"({"prompt": "a", "chosen": "", "rejected": " b"})",
           R"(@/pairs.jsonl:2:1: chosen is empty)"),
      pair("pair_rejected_blank", R"({"prompt": "a", "chosen": " b", "rejected": " \n"})",
           R"(@/pairs.jsonl:2:1: rejected is empty)"),
      pair("pair_chosen_has_no_messages",
           R"({"prompt": )" + user + R"(, "chosen": [], "rejected": )" + said + "}",
           R"(@/pairs.jsonl:2:1: chosen is empty)"),
      pair("pair_ends_with_the_user",
           R"({"prompt": "c", "chosen": )" + user + R"(, "rejected": )" + said + "}",
           R"(@/pairs.jsonl:2:1: chosen does not end with a message of the assistant, but of "user")"),
      pair("pair_of_the_prompt_alone",
           R"({"prompt": "a", "chosen": )" + user + R"(, "rejected": )" + said + "}",
           R"(@/pairs.jsonl:2:1: chosen repeats the prompt and does not answer it)"),
      pair(
          "pair_after_another_prompt",
          R"({"prompt": "c", "chosen": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}], "rejected": )" +
              said + "}",
          R"(@/pairs.jsonl:2:1: chosen begins with a message of the user that is not the prompt's)"),
      pair(
          "pair_with_a_system_beside_texts",
          R"({"system": "c", "prompt": "a", "chosen": " b", "rejected": " c"})",
          R"(@/pairs.jsonl:2:12: "system" beside texts is not read: put it into the text, or give messages)"),
      pair("pair_of_an_unknown_role",
           R"({"prompt": "a", "chosen": [{"role": "robot", "content": "b"}], "rejected": )" + said + "}",
           R"(@/pairs.jsonl:2:1: chosen does not end with a message of the assistant, but of "robot")"),
      pair(
          "pair_of_text_and_messages", R"({"chosen": "a", "rejected": )" + said + "}",
          R"(@/pairs.jsonl:2:1: one of chosen and rejected is a text, the other messages, and no prompt is given)"),
      pair("pair_message_content_is_a_list_of_numbers",
           R"({"prompt": "a", "chosen": [{"role": "assistant", "content": [1]}], "rejected": )" + said + "}",
           R"(@/pairs.jsonl:2:62: a part of a content must be an object or a string, not an integer)"),
      {"pairs_cut_to_nothing",
       "dpo",
       R"(@/pairs.jsonl: no pair to train on; 2 skipped: no token of an answer is left after max_length (2: @/pairs.jsonl:1:1, 2:1))",
       {},
       {"max_length=2"}},
      {"pairs_cut_to_the_same",
       "dpo",
       R"(@/pairs.jsonl: no pair to train on; 1 skipped: chosen and rejected have the same tokens after max_length (1: @/pairs.jsonl:1:1))",
       {{"pairs.jsonl", R"({"prompt": "a b", "chosen": " c d", "rejected": " c e"})"
                        "\n"}},
       {"max_length=6"}},
      {"pairs_all_lose_their_end",
       "dpo",
       R"(@/pairs.jsonl: every completion lost its end token to max_length 5, so none would teach to stop; the longest side has 11 tokens)",
       {{"pairs.jsonl", R"({"prompt": "a", "chosen": " c d e f", "rejected": " d e f g"})"
                        "\n"}},
       {"max_length=5"}},
      {"pairs_longer_than_the_context",
       "dpo",
       R"(@/pairs.jsonl: the longest side has 143 tokens, and the context of @/model is 64; max_length=64 cuts it)",
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
