// Renders conversations, encodes them with their origins, and says which tokens are whose.
#include "prefer/text/spans.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>
#include <map>
#include <utility>

namespace prefer {
namespace {

std::vector<TextPart> parts_of(const Rendered& rendered) {
  std::vector<TextPart> parts;
  for (const auto& stretch : rendered.stretches)
    parts.push_back({stretch.end, stretch.source == Rendered::kLiteral});
  return parts;
}

/// Cuts a rendering off before byte `end`.
void shorten(Rendered& rendered, std::size_t end) {
  rendered.text.resize(end);
  while (!rendered.stretches.empty()) {
    auto& last = rendered.stretches.back();
    const std::size_t begin = rendered.stretches.size() < 2 ? 0 : rendered.stretches.end()[-2].end;
    last.end = std::min(last.end, end);
    if (begin < end) break;
    rendered.stretches.pop_back();
  }
}

/// What stands from byte `begin` on.
Rendered rest(const Rendered& rendered, std::size_t begin) {
  Rendered out{rendered.text.substr(begin), {}};
  for (auto stretch : rendered.stretches) {
    if (stretch.end <= begin) continue;
    stretch.end -= begin;
    out.stretches.push_back(stretch);
  }
  return out;
}

/// First byte of a message with index `from` or more; the text's size when there is none.
std::size_t first_byte_from(const Rendered& rendered, std::int32_t from) {
  std::size_t begin = 0;
  for (const auto& stretch : rendered.stretches) {
    if (stretch.source >= from) return begin;
    begin = stretch.end;
  }
  return begin;
}

/// End of the last byte of message `index`; 0 when there is none.
std::size_t end_of_message(const Rendered& rendered, std::int32_t index) {
  std::size_t end = 0;
  for (const auto& stretch : rendered.stretches) {
    if (stretch.source == index) end = stretch.end;
  }
  return end;
}

/// One past the last byte before `end` that the template did not write itself.
std::size_t literal_from(const Rendered& rendered, std::size_t end) {
  std::size_t from = 0, begin = 0;
  for (const auto& stretch : rendered.stretches) {
    if (begin >= end) break;
    if (stretch.source != Rendered::kLiteral) from = stretch.end;
    begin = stretch.end;
  }
  return from;
}

/// How many bytes before `cut` the template wrote as this token, a control token; 0 where it is none or
/// stands elsewhere.
std::size_t control_before(const Rendered& whole, std::size_t cut, std::int32_t id,
                           const Tokenizer& tokenizer) {
  const std::string& token = tokenizer.token(id);
  const bool stands = tokenizer.is_special(id) && literal_from(whole, cut) + token.size() <= cut &&
                      std::string_view(whole.text).substr(0, cut).ends_with(token);
  return stands ? token.size() : 0;
}

/// Without generation blocks: every assistant message from its first token to its last, and on to the control
/// token.
void supervise_messages(TokenSpans& spans, const Tokenizer& tokenizer) {
  const auto count = static_cast<std::ptrdiff_t>(spans.ids.size());
  std::map<std::int32_t, std::ptrdiff_t> ends;  // of each message, one past its last token
  for (std::ptrdiff_t i = 0; i < count; ++i) ends[spans.message[static_cast<std::size_t>(i)]] = i + 1;
  for (std::ptrdiff_t i = 0; i < count;) {
    if (spans.roles[static_cast<std::size_t>(i)] != Role::assistant) {
      ++i;
      continue;
    }
    const std::ptrdiff_t content_end = ends.at(spans.message[static_cast<std::size_t>(i)]);
    std::ptrdiff_t end = content_end;
    while (end < count && spans.message[static_cast<std::size_t>(end)] < 0 &&
           !tokenizer.is_special(spans.ids[static_cast<std::size_t>(end)])) {
      ++end;
    }
    const bool closed = end < count && spans.message[static_cast<std::size_t>(end)] < 0;
    std::fill(spans.supervised.begin() + i, spans.supervised.begin() + (closed ? end + 1 : content_end), 1);
    i = std::max(i + 1, content_end);
  }
}

std::vector<std::int32_t> ids_of(const std::vector<PartToken>& tokens) {
  std::vector<std::int32_t> ids;
  for (const PartToken& token : tokens) ids.push_back(token.id);
  return ids;
}

bool begins_with(const std::vector<std::int32_t>& ids, const std::vector<std::int32_t>& prefix) {
  return ids.size() >= prefix.size() && std::equal(prefix.begin(), prefix.end(), ids.begin());
}

/// One past the first control token after the last token of any message; 0 when there is none.
std::size_t end_token(const TokenSpans& spans, std::size_t begin, const Tokenizer& tokenizer) {
  std::size_t content = begin;
  for (std::size_t i = begin; i < spans.ids.size(); ++i) {
    if (spans.message[i] >= 0) content = i + 1;
  }
  for (std::size_t i = content; i < spans.ids.size(); ++i) {
    if (tokenizer.is_special(spans.ids[i])) return i + 1 - begin;
  }
  return 0;
}

/// Whether BOS is to be put before a text of these tokens: it is on, and the text does not spell it.
bool lacks_its_bos(std::optional<std::int32_t> first, const Tokenizer& tokenizer) {
  return tokenizer.adds_bos() && first != tokenizer.bos();
}
bool lacks_its_bos(const std::vector<std::int32_t>& ids, const Tokenizer& tokenizer) {
  return lacks_its_bos(ids.empty() ? std::nullopt : std::optional(ids.front()), tokenizer);
}

}  // namespace

SpanBuilder::SpanBuilder(std::shared_ptr<const Tokenizer> tokenizer, const TemplateConfig& given)
    : tokenizer_(std::move(tokenizer)), variables_(given.variables()), now_(given.now()) {
  if (!tokenizer_->chat_template().empty())
    chat_template_.emplace(tokenizer_->chat_template(), tokenizer_->chat_template_name());
}

SpanBuilder::SpanBuilder(std::shared_ptr<const Tokenizer> tokenizer, ChatTemplate chat_template,
                         const TemplateConfig& given)
    : tokenizer_(std::move(tokenizer)),
      chat_template_(std::move(chat_template)),
      variables_(given.variables()),
      now_(given.now()) {}

Rendered SpanBuilder::render(std::span<const Message> messages, const ChatOptions& options) const {
  if (!chat_template_) fail("the tokenizer has no chat template; messages need one");
  if (options.continue_final && options.add_generation_prompt) {
    fail("continue_final and add_generation_prompt can't both be on");
  }
  RenderOptions how;
  how.add_generation_prompt = options.add_generation_prompt;
  how.tools = options.tools;
  how.variables = variables_;
  how.now = now_;
  const auto name = [&](const char* variable, std::optional<std::int32_t> id) {
    if (id) how.tokens.emplace_back(variable, tokenizer_->token(*id));
  };
  name("bos_token", tokenizer_->bos());
  name("eos_token", tokenizer_->eos());
  name("pad_token", tokenizer_->pad());
  name("unk_token", tokenizer_->unk());
  Rendered rendered = chat_template_->render(messages, how);
  if (!options.continue_final) return rendered;
  if (messages.empty()) fail("continue_final needs a message to continue");
  const std::size_t end = end_of_message(rendered, static_cast<std::int32_t>(messages.size()) - 1);
  if (end == 0) fail("continue_final: the template writes nothing of the last message");
  shorten(rendered, end);
  return rendered;
}

TokenSpans SpanBuilder::spans(Rendered rendered, std::span<const Message> messages, bool continues) const {
  TokenSpans out;
  const std::vector<PartToken> tokens = tokenizer_->encode(rendered.text, parts_of(rendered), continues);
  const auto push = [&](std::int32_t id, std::int32_t message, bool supervised) {
    const Role role =
        message < 0 ? Role::scaffold : role_of(messages[static_cast<std::size_t>(message)].role);
    out.ids.push_back(id);
    out.roles.push_back(role);
    out.message.push_back(message);
    out.supervised.push_back(supervised);
  };
  const auto first = tokens.empty() ? std::nullopt : std::optional(tokens.front().id);
  if (!continues && lacks_its_bos(first, *tokenizer_)) push(*tokenizer_->bos(), -1, false);
  for (const PartToken& token : tokens) {
    std::int32_t message = -1;
    bool generated = false;
    for (std::uint32_t part = token.first; part <= token.last; ++part) {
      if (message < 0) message = std::max(-1, rendered.stretches[part].source);
      generated = generated || rendered.stretches[part].generated;
    }
    push(token.id, message, generated);
  }
  if (!chat_template_->has_generation_blocks()) supervise_messages(out, *tokenizer_);
  out.text = std::move(rendered.text);
  return out;
}

TokenSpans SpanBuilder::chat(std::span<const Message> messages, const ChatOptions& options) const {
  return spans(render(messages, options), messages, false);
}

TokenSpans SpanBuilder::text(std::string_view text, Specials specials) const {
  TokenSpans out;
  out.ids = tokenizer_->encode(text, specials);
  if (lacks_its_bos(out.ids, *tokenizer_)) out.ids.insert(out.ids.begin(), *tokenizer_->bos());
  out.supervised.assign(out.ids.size(), 1);
  if (tokenizer_->adds_bos()) out.supervised.front() = 0;
  out.roles.assign(out.ids.size(), Role::none);
  out.message.assign(out.ids.size(), -1);
  out.text = text;
  return out;
}

/// Where the answer, the messages from `index` on, begins in `whole`, whose template wrote those before it
/// otherwise in `before`: behind the literal text that `before` ends with, which a model was given already;
/// where that is not repeated, behind what opens the turn of an answer.
std::size_t SpanBuilder::answer_begin(const Rendered& before, const Rendered& whole,
                                      std::vector<Message> messages, std::size_t index,
                                      const ChatOptions& how) const {
  const auto number = static_cast<std::int32_t>(index);
  const std::size_t content = first_byte_from(whole, number), gap = literal_from(whole, content);
  const std::string_view between = std::string_view(whole.text).substr(gap, content - gap);
  const std::string_view seen =
      std::string_view(before.text).substr(literal_from(before, before.text.size()));
  if (between.starts_with(seen)) return gap + seen.size();
  // Before the first byte of a tool call stands more than what opens a turn, so a plain answer is asked.
  messages[index] = {messages[index].role, ".", {}};
  try {
    const Rendered plain = render(messages, how);
    const std::size_t end = first_byte_from(plain, number), begin = literal_from(plain, end);
    const std::string_view opening = std::string_view(plain.text).substr(begin, end - begin);
    if (between.starts_with(opening)) return gap + opening.size();
  } catch (const Error&) {  // the template wants more of an answer than that
  }
  return content;
}

TokenisedCompletion SpanBuilder::answer(std::span<const Message> prompt, std::span<const Message> answer,
                                        const ChatOptions& options) const {
  std::vector<Message> all(prompt.begin(), prompt.end());
  all.insert(all.end(), answer.begin(), answer.end());
  ChatOptions how = options;
  how.continue_final = !prompt.empty() && role_of(prompt.back().role) == Role::assistant;
  how.add_generation_prompt = !how.continue_final;
  const Rendered before = render(prompt, how);
  how.continue_final = how.add_generation_prompt = false;
  const Rendered whole = render(all, how);
  TokenisedCompletion out;
  out.prompt = spans(before, prompt, false).ids;
  TokenSpans after = spans(whole, all, false);
  std::size_t begin = out.prompt.size();
  if (!begins_with(after.ids, out.prompt)) {
    out.rewritten = !whole.text.starts_with(before.text);
    out.separate = !out.rewritten;
    const std::size_t cut =
        out.separate ? before.text.size() : answer_begin(before, whole, all, prompt.size(), how);
    // From the control token that the prompt ends with on: some tokenizers put a space behind it.
    const std::size_t back = out.rewritten ? control_before(whole, cut, out.prompt.back(), *tokenizer_) : 0;
    after = spans(rest(whole, cut - back), all, true);
    begin = back > 0 ? 1 : 0;
  }
  out.completion.assign(after.ids.begin() + static_cast<std::ptrdiff_t>(begin), after.ids.end());
  out.end = end_token(after, begin, *tokenizer_);
  return out;
}

TokenisedCompletion SpanBuilder::answer(std::string_view prompt, std::string_view answer, Specials specials,
                                        bool ends) const {
  TokenisedCompletion out;
  out.prompt = tokenizer_->encode(prompt, specials);
  std::vector<std::int32_t> whole = tokenizer_->encode(std::string(prompt).append(answer), specials);
  if (begins_with(whole, out.prompt)) {
    out.completion.assign(whole.begin() + static_cast<std::ptrdiff_t>(out.prompt.size()), whole.end());
  } else {
    const TextPart part{answer.size(), specials == Specials::recognise};
    out.completion = ids_of(tokenizer_->encode(answer, std::span(&part, 1), true));
    out.separate = true;
  }
  if (lacks_its_bos(out.prompt, *tokenizer_)) {
    out.prompt.insert(out.prompt.begin(), *tokenizer_->bos());
    const bool spelled = out.prompt.size() == 1 && !lacks_its_bos(out.completion, *tokenizer_);
    if (spelled) out.completion.erase(out.completion.begin());
  }
  if (const auto eos = tokenizer_->eos(); eos && ends) {
    if (out.completion.empty() || out.completion.back() != *eos) out.completion.push_back(*eos);
    out.end = out.completion.size();
  }
  return out;
}

}  // namespace prefer
