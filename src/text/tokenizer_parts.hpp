// What a tokenizer is made of, and the readers that make it.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"
#include "tokenizer_added.hpp"
#include "tokenizer_decode.hpp"
#include "tokenizer_model.hpp"
#include "tokenizer_steps.hpp"
#include "tokenizer_vocabulary.hpp"

#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

struct TokenizerParts {
  text::Vocabulary vocabulary;
  text::AddedTokens raw;         // sought in the text as it is
  text::AddedTokens normalized;  // sought in the normalised text
  std::vector<text::Rewrite> normalizers;
  std::vector<text::PreStep> pre_tokenizers;
  std::unique_ptr<const text::Model> model;
  std::unique_ptr<const text::Model> continuing;  // where `model` would put a space before text that goes on
  std::vector<text::DecodeStep> decoders;
  std::optional<std::int32_t> bos, eos, pad, unk;
  bool adds_bos = false;
  std::string chat_template, chat_template_name;
  std::map<std::string, std::string> files;

  /// Adds a token to be cut out of texts; the vocabulary gains it where it lacks it. What was special once
  /// stays so. The normalizers are complete.
  void add(const text::AddedToken& given, const std::string& place);

  /// `text` after all normalizers.
  std::string normalised(std::string_view text, bool begins_input) const;
};

namespace text {

using PartsPtr = std::unique_ptr<TokenizerParts>;

/// The regular expression of GPT-2 (Radford et al. 2019), which the pre-tokenizer ByteLevel uses.
extern const char* const kGpt2Pattern;

/// Each reads one component of tokenizer.json, null included, and throws Error naming a type that is not
/// implemented.
void read_normalizer(const Json& json, std::vector<Rewrite>& steps);
void read_pre_tokenizer(const Json& json, std::vector<PreStep>& steps);
void read_decoder(const Json& json, std::vector<DecodeStep>& steps);
/// The token which the post-processor puts before a text, if it does.
std::optional<std::string> read_post_processor(const Json& json);

/// The member as a flag; `otherwise` when it is missing or null.
bool flag_or(const Json& json, std::string_view key, bool otherwise);
/// The member, or null when it is missing.
const Json& member(const Json& json, std::string_view key);

/// The decoding of SentencePiece models: byte tokens, and U+2581 for a space; up to `leading_spaces` off the
/// front.
std::vector<DecodeStep> sentencepiece_decoders(std::size_t leading_spaces);

PartsPtr read_tokenizer_json(const Json& json, const std::string& name);
PartsPtr read_tokenizer_gguf(Fs& fs, const std::string& path);
PartsPtr read_sentencepiece(const std::string& bytes, const std::string& name);
/// Throws Error where the sentencepiece library would read outside its tables.
void check_sentencepiece(std::string_view bytes, const std::string& name);
/// The model that puts no space in front of a text.
std::string without_space_in_front(std::string_view bytes, const std::string& name);

/// Applies tokenizer_config.json, and special_tokens_map.json (an empty object: none) where the former is
/// silent; of tokens beside BOS, EOS, unknown and padding both count.
void apply_config(const Json& config, const Json& map, TokenizerParts& parts);

/// tokenizer_config.json, special_tokens_map.json and chat_template.jinja of `folder`, where they are; and
/// beside a tokenizer.model whose config lists no added tokens, added_tokens.json.
void read_config_beside(Fs& fs, const std::string& folder, TokenizerParts& parts);

/// Makes `token` the pad token of those files.
void set_pad_token(const std::string& token, std::map<std::string, std::string>& files);

}  // namespace text
}  // namespace prefer
