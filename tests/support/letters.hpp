// A tokenizer whose tokens a reader can count.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "prefer/text/spans.hpp"
#include "prefer/text/tokenizer.hpp"
#include "support/temp_dir.hpp"

#include <memory>
#include <string>

namespace prefer::testing {

/// One id a letter: every pair of lengths is easy to see. Letters of byte-level BPE, the space 26, </s> 27.
inline std::string letters_json() {
  Json vocabulary = Json::object();
  for (int i = 0; i < 26; ++i) vocabulary.set(std::string(1, static_cast<char>('a' + i)), i);
  vocabulary.set("Ġ", 26);
  vocabulary.set("</s>", 27);
  const std::string json =
      R"({"version": "1.0", "truncation": null, "padding": null, "added_tokens": [{"id": 27,
      "content": "</s>", "single_word": false, "lstrip": false, "rstrip": false, "normalized": false, "special": true}],
      "normalizer": null, "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true,
      "use_regex": true}, "post_processor": null, "decoder": {"type": "ByteLevel", "add_prefix_space": true,
      "trim_offsets": true, "use_regex": true}, "model": {"type": "BPE", "dropout": null, "unk_token": null,
      "continuing_subword_prefix": null, "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false,
      "ignore_merges": false, "vocab": )" +
      dump(vocabulary) + R"(, "merges": []}})";
  return json;
}

inline std::shared_ptr<const Tokenizer> letters() { return parse_tokenizer(letters_json(), "letters"); }

/// The same with </s> as its end token.
inline std::shared_ptr<const Tokenizer> ending_letters() {
  const TempDir dir;
  PosixFs fs;
  write_file_atomically(fs, dir / "tokenizer.json", letters_json());
  write_file_atomically(fs, dir / "tokenizer_config.json", R"({"eos_token": "</s>"})");
  return load_tokenizer(dir.string());
}

/// Tools, then each turn: its role's first letter, its content and the end token. Refuses to be told "no".
inline SpanBuilder chats() {
  return {ending_letters(),
          ChatTemplate("{% if tools %}{% for t in tools %}{{ t.name }}{% endfor %}</s>{% endif %}"
                       "{% for m in messages %}"
                       "{% if m.content == 'no' %}{{ raise_exception('never') }}{% endif %}"
                       "{{ m.role[0] }}{{ m.content }}</s>{% endfor %}"
                       "{% if add_generation_prompt %}a{% endif %}")};
}

}  // namespace prefer::testing
