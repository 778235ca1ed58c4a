// Text to token ids and back: byte-level BPE and SentencePiece, from a Hugging Face folder, a GGUF or a
// .model file.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

class Fs;

/// What encode does with text that spells a special token, such as "<|im_start|>".
enum class Specials {
  recognise,  ///< it becomes the special token's id: for text written by the program (chat templates)
  plain,      ///< it is text like any other: for text written by users, which yields no special id (but see
              ///< Tokenizer::is_special)
};
/// What a config's yes or no means.
constexpr Specials specials_if(bool recognised) { return recognised ? Specials::recognise : Specials::plain; }

/// A part of a text that ends before byte `end`. Only a `literal` one may spell special tokens.
struct TextPart {
  std::size_t end = 0;
  bool literal = false;
};

/// A token and the parts of the text whose bytes it covers, [first, last]. One that covers none (a space put
/// in front) counts to the part of the next byte; bytes that a tokenizer drops are in no token.
struct PartToken {
  std::int32_t id = 0;
  std::uint32_t first = 0;
  std::uint32_t last = 0;
};

struct TokenizerParts;  // what the readers hand over (src/text/tokenizer_parts.hpp)

/// A tokenizer: immutable, shared freely between threads.
///
/// Ids are those of Hugging Face tokenizers 0.23 (tokenizer.json), llama.cpp (GGUF) and sentencepiece
/// (.model). Added tokens which are not special (such as a run of spaces) are matched in both modes of
/// Specials. Bytes which are not UTF-8 are read as U+FFFD, one for each longest broken piece, as Unicode
/// advises.
class Tokenizer {
 public:
  explicit Tokenizer(std::unique_ptr<const TokenizerParts> parts);
  ~Tokenizer();
  Tokenizer(const Tokenizer&) = delete;
  Tokenizer& operator=(const Tokenizer&) = delete;

  /// The ids of `text`. Never adds BOS or EOS. Throws Error when a pattern of the tokenizer needs too many
  /// steps.
  std::vector<std::int32_t> encode(std::string_view text, Specials specials) const;

  /// The ids of `text` encoded as one, where a special token counts only when it lies wholly in literal
  /// parts. So they are encode(text, Specials::recognise) unless another part spells a special token.
  /// `continues`: a text stands before this one, so nothing that marks the beginning is put in front. The
  /// parts follow each other from byte 0 on and cover the text.
  std::vector<PartToken> encode(std::string_view text, std::span<const TextPart> parts,
                                bool continues = false) const;

  /// The text of `ids`, always UTF-8. Throws Error on an id outside [0, vocab_size()).
  std::string decode(std::span<const std::int32_t> ids, bool skip_special = false) const;

  /// One more than the largest id; the ids from 0 on are all taken.
  std::int32_t vocab_size() const;

  /// The tokens' ids, where the tokenizer names them.
  std::optional<std::int32_t> bos() const;
  std::optional<std::int32_t> eos() const;
  std::optional<std::int32_t> pad() const;
  std::optional<std::int32_t> unk() const;

  /// Whether a text of its own (not a rendered chat) starts with bos(). False where there is no BOS.
  bool adds_bos() const;

  /// Whether `id` is a control token: left out by skip_special, and never in plain text, unless it is a
  /// single character of the vocabulary (a pad token "!"), which nothing else spells.
  bool is_special(std::int32_t id) const;

  /// The token as the vocabulary spells it ("Ġthe", "▁the", "<0x0A>"). Throws Error on an id outside the
  /// vocabulary.
  const std::string& token(std::int32_t id) const;

  /// The id of the token which the vocabulary spells so.
  std::optional<std::int32_t> id(std::string_view token) const;

  /// The chat template's source (Jinja); empty when there is none.
  const std::string& chat_template() const;
  /// What the template was read from: how its errors begin.
  const std::string& chat_template_name() const;

  /// The Hugging Face files that make this tokenizer again, name -> bytes (tokenizer.json,
  /// tokenizer_config.json, ...): the very bytes where it came from such files, written anew where it came
  /// from a GGUF.
  std::map<std::string, std::string> files() const;
  /// The same, in which `pad`, a token of the vocabulary, is the pad token.
  std::map<std::string, std::string> files_padding_with(std::int32_t pad) const;

 private:
  friend class StreamDecoder;
  std::unique_ptr<const TokenizerParts> parts_;
};

/// Decodes ids one by one. What feed() and flush() return, end to end, is decode() of all ids; each return
/// holds whole code points only, so a character spread over several tokens appears with its last one.
class StreamDecoder {
 public:
  explicit StreamDecoder(std::shared_ptr<const Tokenizer> tokenizer, bool skip_special = false);
  ~StreamDecoder();
  StreamDecoder(StreamDecoder&&) noexcept;
  StreamDecoder& operator=(StreamDecoder&&) noexcept;

  /// The text that `id` completes, often empty. Throws Error on an id outside the vocabulary.
  std::string feed(std::int32_t id);

  /// The rest; U+FFFD for a character that never came to its end. The decoder is then as new.
  std::string flush();

 private:
  struct State;
  std::unique_ptr<State> state_;
};

/// Reads a tokenizer: a folder (tokenizer.json, else tokenizer.model), a .gguf, a tokenizer.json or a .model
/// file. tokenizer_config.json, special_tokens_map.json and chat_template.jinja beside it are read too.
/// Throws Error, one line, on anything malformed, too large, or not implemented (named).
std::shared_ptr<const Tokenizer> load_tokenizer(Fs& fs, const std::string& path);
std::shared_ptr<const Tokenizer> load_tokenizer(const std::string& path);  ///< from the disk

/// The tokenizer of one tokenizer.json given as text; `name` stands in errors.
std::shared_ptr<const Tokenizer> parse_tokenizer(std::string_view tokenizer_json, const std::string& name);

}  // namespace prefer
