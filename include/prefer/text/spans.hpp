// The one way from conversations and texts to tokens that know their role: for training, generation and
// scoring.
//
// Ids are those of the rendered text encoded as a whole, as Hugging Face does, but only what the template
// itself wrote may become a control token: a user who writes "<|im_end|>" gets its letters. BOS stands once
// where the tokenizer has it on, whether the template writes it or not.
#pragma once

#include "prefer/text/template.hpp"
#include "prefer/text/tokenizer.hpp"

#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

namespace prefer {

/// Tokens and, for each, who wrote it.
struct TokenSpans {
  std::vector<std::int32_t> ids;
  std::vector<Role> roles;  ///< of the message a token has bytes of; scaffold for the template's own
  std::vector<std::int32_t> message;  ///< the message a token has bytes of, or -1
  /// 1 for what an assistant should learn to write: the template's {% generation %} blocks where it has them;
  /// otherwise, message by message, from its first byte to its last and on to the control token that ends the
  /// turn.
  std::vector<std::uint8_t> supervised;
  std::string text;  ///< as rendered
};

struct ChatOptions {
  bool add_generation_prompt = false;
  bool continue_final =
      false;  ///< end right after the last message's content, so that it can be gone on with
  Json tools = {};
};

/// A prompt and an answer to it, as tokens: what is scored is `completion`.
struct TokenisedCompletion {
  std::vector<std::int32_t> prompt;
  std::vector<std::int32_t> completion;
  std::size_t end = 0;     ///< one past the completion's end token; 0 = it has none
  bool separate = false;   ///< tokens would have merged over the border, so the two were encoded apart
  bool rewritten = false;  ///< the template writes the prompt otherwise once the answer is there
};

/// Immutable; shared between threads.
class SpanBuilder {
 public:
  /// With the tokenizer's own chat template. Without one, chats are refused when asked for.
  explicit SpanBuilder(std::shared_ptr<const Tokenizer> tokenizer, const TemplateConfig& given = {});
  SpanBuilder(std::shared_ptr<const Tokenizer> tokenizer, ChatTemplate chat_template,
              const TemplateConfig& given = {});

  bool has_template() const { return chat_template_.has_value(); }
  const Tokenizer& tokenizer() const { return *tokenizer_; }
  const std::shared_ptr<const Tokenizer>& shared_tokenizer() const { return tokenizer_; }

  /// A conversation. Throws Error where the template refuses it.
  TokenSpans chat(std::span<const Message> messages, const ChatOptions& options = {}) const;
  /// A text of its own, role none, all of it supervised but BOS.
  TokenSpans text(std::string_view text, Specials specials = Specials::plain) const;

  /// An answer of one or more messages to a conversation. The prompt is what a model would be given: with the
  /// generation prompt, or, where its last message is the assistant's, up to that message's end.
  TokenisedCompletion answer(std::span<const Message> prompt, std::span<const Message> answer,
                             const ChatOptions& options = {}) const;
  /// A text that goes on from another; with `ends`, EOS ends it where the tokenizer has one.
  TokenisedCompletion answer(std::string_view prompt, std::string_view answer,
                             Specials specials = Specials::plain, bool ends = true) const;

 private:
  Rendered render(std::span<const Message> messages, const ChatOptions& options) const;
  TokenSpans spans(Rendered rendered, std::span<const Message> messages, bool continues) const;
  std::size_t answer_begin(const Rendered& before, const Rendered& whole, std::vector<Message> messages,
                           std::size_t index, const ChatOptions& how) const;

  std::shared_ptr<const Tokenizer> tokenizer_;
  std::optional<ChatTemplate> chat_template_;
  Json variables_;
  std::optional<std::int64_t> now_;
};

}  // namespace prefer
