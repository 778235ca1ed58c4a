// The steps of decoding as state machines.
#include "tokenizer_decode.hpp"

#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_steps.hpp"

#include <algorithm>
#include <utility>

namespace prefer::text {
namespace {

constexpr std::size_t kMaxTokenText = std::size_t{1} << 20;
constexpr const char* kReplacement = "\xEF\xBF\xBD";

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return -1;
}

// The byte that "<0x41>" stands for, or -1.
int byte_of_token(std::string_view token) {
  if (token.size() != 6 || !token.starts_with("<0x") || token[5] != '>') return -1;
  const int high = hex_digit(token[3]), low = hex_digit(token[4]);
  return high < 0 || low < 0 ? -1 : high * 16 + low;
}

std::string bytes_of_letters(std::string_view token) {
  std::string bytes;
  bool letters = true;
  utf8::for_each(token, [&](char32_t code, std::string_view) {
    const int byte = byte_of_letter(code);
    letters = letters && byte >= 0;
    bytes.push_back(static_cast<char>(byte));
  });
  return letters ? bytes : std::string(token);
}

// Takes from `held` all but a code point that may still be completed.
std::string take_complete(std::string& held) {
  std::string out;
  std::string_view rest = held;
  while (!rest.empty()) {
    const utf8::Point point = utf8::first(rest);
    if (point.cut) break;
    utf8::append(out, point.code);
    rest.remove_prefix(point.size);
  }
  held = std::string(rest);
  return out;
}

// A run of byte tokens is text, or as many U+FFFD as bytes.
std::string take_run(std::string& held) {
  std::string out;
  if (utf8::is_valid(held)) {
    out = std::move(held);
  } else {
    for (std::size_t i = 0; i < held.size(); ++i) out += kReplacement;
  }
  held.clear();
  return out;
}

std::string_view strip_front(std::string_view text, const StripToken& step, std::size_t& stripped) {
  while (stripped < step.start && !step.content.empty() && text.starts_with(step.content)) {
    text.remove_prefix(step.content.size());
    ++stripped;
  }
  return text;
}

std::string_view strip_back(std::string_view text, const StripToken& step) {
  for (std::size_t i = 0; i < step.stop && !step.content.empty() && text.ends_with(step.content); ++i)
    text.remove_suffix(step.content.size());
  return text;
}

}  // namespace

bool Decoding::fused_before(std::size_t step) const {
  for (std::size_t i = 0; i < step; ++i)
    if (std::holds_alternative<Fuse>((*steps_)[i]) || std::holds_alternative<FromByteLetters>((*steps_)[i]))
      return true;
  return false;
}

struct Decoding::Feeder {
  Decoding& self;
  std::size_t index;
  std::string_view token;
  std::string& out;
  State& state = self.states_[index];

  void next(std::string_view text) const { self.pass(index + 1, text, out); }

  void operator()(const ReplaceInToken& step) const {
    const std::string text = rewritten(Substitute{step.pattern, step.content}, token, false);
    if (text.size() > std::max(kMaxTokenText, token.size()))
      fail("the decoder makes more than ", kMaxTokenText, " bytes of a token");
    next(text);
  }
  void operator()(const FromByteLetters&) const {
    state.held += bytes_of_letters(token);
    if (const std::string text = take_complete(state.held); !text.empty()) next(text);
  }
  void operator()(const FromByteTokens&) const {
    if (const int byte = byte_of_token(token); byte >= 0)
      return state.held.push_back(static_cast<char>(byte));
    if (!state.held.empty()) next(take_run(state.held));
    next(token);
  }
  void operator()(const Fuse&) const { next(token); }
  void operator()(const StripToken& step) const {
    std::size_t stripped = 0;
    if (!self.fused_before(index)) return next(strip_back(strip_front(token, step, stripped), step));
    std::string_view text = token;
    if (!state.started) text = strip_front(text, step, state.stripped);
    if (text.empty()) return;
    state.started = true;
    state.held += text;
    const std::size_t sure = strip_back(state.held, step).size();
    next(std::string_view(state.held).substr(0, sure));
    state.held.erase(0, sure);
  }
  void operator()(const FromMetaspace& step) const {
    const bool drop = step.drop_first && !state.started;
    state.started = true;
    next(rewritten(Substitute{Pattern::literal(step.replacement), drop ? "" : " "}, token, false));
  }
  void operator()(const JoinBySpace&) const {
    next(state.started ? " " + std::string(token) : std::string(token));
    state.started = true;
  }
};

struct Decoding::Finisher {
  Decoding& self;
  std::size_t index;
  std::string& out;

  void operator()(const FromByteLetters&) const {
    if (auto& held = self.states_[index].held; !held.empty()) self.pass(index + 1, utf8::mended(held), out);
  }
  void operator()(const FromByteTokens&) const {
    if (auto& held = self.states_[index].held; !held.empty()) self.pass(index + 1, take_run(held), out);
  }
  template <class Step>
  void operator()(const Step&) const {}
};

void Decoding::pass(std::size_t step, std::string_view token, std::string& out) {
  if (step == steps_->size()) {
    out += token;
    return;
  }
  std::visit(Feeder{*this, step, token, out}, (*steps_)[step]);
}

std::string Decoding::feed(std::string_view token) {
  std::string out;
  pass(0, token, out);
  return out;
}

std::string Decoding::flush() {
  std::string out;
  for (std::size_t i = 0; i < steps_->size(); ++i) std::visit(Finisher{*this, i, out}, (*steps_)[i]);
  states_.assign(steps_->size(), State{});
  return out;
}

}  // namespace prefer::text
