// Rewriting and cutting text before the model.
#include "tokenizer_steps.hpp"

#include "prefer/core/error.hpp"
#include "prefer/text/utf8.hpp"
#include "tokenizer_unicode.hpp"

#include <algorithm>
#include <utility>

namespace prefer::text {
namespace {

/// Throws Error where `to` bytes are far more than the `from` that they were made of.
void check_growth(std::size_t from, std::size_t to) {
  constexpr std::size_t kFactor = 64, kFree = 4096;
  if (to > kFree && (to - kFree) / kFactor > from)
    fail("the tokenizer's replacements make ", to, " bytes of a text of ", from, "; at most ", kFactor,
         " times as many are allowed");
}

struct Letters {
  std::array<std::string, 256> of_byte;
  std::array<int, 0x144> of_code;

  Letters() {
    of_code.fill(-1);
    char32_t next = 0x100;
    for (int byte = 0; byte < 256; ++byte) {
      const bool printable = (byte >= 33 && byte <= 126) || (byte >= 161 && byte <= 172) || byte >= 174;
      const char32_t code = printable ? static_cast<char32_t>(byte) : next++;
      utf8::append(of_byte[static_cast<std::size_t>(byte)], code);
      of_code[code] = byte;
    }
  }
};

const Letters& letters() {
  static const Letters value;
  return value;
}

struct Rewriter {
  std::string_view text;
  bool begins_input;
  Carry& carry;

  std::string operator()(const Prefix& step) const {
    const bool wanted = step.when == Prefix::When::always || begins_input;
    const bool there = step.unless_there && text.starts_with(step.text);
    const std::string front = wanted && !there && !text.empty() ? step.text : "";
    carry.became(0, front.size());
    carry.became(text.size(), text.size());
    return front + std::string(text);
  }
  std::string operator()(const Substitute& step) const {
    std::string out;
    std::size_t at = 0;
    const std::vector<Range> matches = step.pattern.find_all(text);
    check_growth(text.size(), matches.size() * step.content.size());
    for (const Range& match : matches) {
      out += text.substr(at, match.begin - at);
      out += step.content;
      carry.became(match.begin - at, match.begin - at);
      carry.became(match.end - match.begin, step.content.size());
      at = match.end;
    }
    carry.became(text.size() - at, text.size() - at);
    return out += text.substr(at);
  }
  // An offset lies between characters that stay apart, or the few around it are composed by themselves.
  std::string operator()(const Nfc&) const {
    std::string out;
    std::size_t done = 0;
    const auto compose_to = [&](std::size_t end) {
      const std::string composed = unicode::nfc(text.substr(done, end - done));
      carry.became(end - done, composed.size());
      out += composed;
      done = end;
    };
    while (const std::size_t ahead = carry.ahead(text.size() - done)) {
      const std::size_t offset = done + ahead;
      compose_to(unicode::border_before(text, offset));
      compose_to(unicode::border_after(text, offset));
    }
    compose_to(text.size());
    return out;
  }
  std::string operator()(const Lowercase&) const {
    if (!carry.idle())
      utf8::for_each(text, [&](char32_t, std::string_view character) {
        carry.became(character.size(), unicode::lower(character).size());
      });
    return unicode::lower(text);
  }
  std::string operator()(const StripSpace& step) const {
    std::size_t begin = text.size(), end = 0, at = 0;
    utf8::for_each(text, [&](char32_t code, std::string_view bytes) {
      if (!unicode::is_space(code)) {
        begin = std::min(begin, at);
        end = at + bytes.size();
      }
      at += bytes.size();
    });
    if (!step.left) begin = 0;
    if (!step.right) end = text.size();
    if (begin >= end) begin = end = 0;
    carry.became(begin, 0);
    carry.became(end - begin, end - begin);
    carry.became(text.size() - end, 0);
    return std::string(text.substr(begin, end - begin));
  }
  std::string operator()(const ByteLetters&) const {
    std::string out;
    out.reserve(text.size() + text.size() / 4);
    for (const char byte : text) {
      const std::string& letter = byte_letters()[static_cast<unsigned char>(byte)];
      out += letter;
      carry.became(1, letter.size());
    }
    return out;
  }
};

// All of [0, size), matches and what lies between them, in order.
std::vector<std::pair<Range, bool>> covered(const Cut& step, std::string_view piece) {
  std::vector<std::pair<Range, bool>> parts;
  std::size_t at = 0;
  for (const Range& match : step.pattern.find_all(piece)) {
    if (at < match.begin) parts.push_back({{at, match.begin}, step.invert});
    parts.push_back({match, !step.invert});
    at = match.end;
  }
  if (at < piece.size()) parts.push_back({{at, piece.size()}, step.invert});
  return parts;
}

// Whether the part joins the one before it, as Hugging Face tokenizers' SplitDelimiterBehavior has it: of
// matches in a row only the one beside other text is merged with it.
bool joins(const Cut& step, const std::vector<std::pair<Range, bool>>& parts, std::size_t i) {
  const bool match = parts[i].second, before = parts[i - 1].second;
  switch (step.behavior) {
    case Cut::Behavior::merged_with_previous:
      return match && !before;
    case Cut::Behavior::merged_with_next:
      return before && !match;
    case Cut::Behavior::contiguous:
      return match == before;
    default:
      return false;
  }
}

void cut(const Cut& step, std::string_view piece, Pieces& out, Carry& carry) {
  const auto parts = covered(step, piece);
  Range open;
  const auto close = [&] {
    const std::size_t size = open.end - open.begin;
    if (size > 0) out.push(piece.substr(open.begin, size));
    carry.became(size, size);
  };
  for (std::size_t i = 0; i < parts.size(); ++i) {
    if (i > 0 && joins(step, parts, i)) {
      open.end = parts[i].first.end;
      continue;
    }
    close();
    const auto& [range, match] = parts[i];
    const bool drop = step.behavior == Cut::Behavior::removed && match;
    open = drop ? Range{} : range;
    if (drop) carry.became(range.end - range.begin, 0);
  }
  close();
}

}  // namespace

std::string rewritten(const Rewrite& step, std::string_view text, bool begins_input, Carry& carry) {
  return std::visit(Rewriter{text, begins_input, carry}, step);
}

std::string rewritten(const Rewrite& step, std::string_view text, bool begins_input) {
  Offsets none;
  Carry carry(none);
  return rewritten(step, text, begins_input, carry);
}

std::string normalised(const std::vector<Rewrite>& steps, std::string_view text, bool begins_input,
                       Offsets& offsets) {
  std::string out(text);
  for (const Rewrite& step : steps) {
    Carry carry(offsets);
    out = rewritten(step, out, begins_input, carry);
    carry.finish();
    check_growth(text.size(), out.size());
  }
  return out;
}

std::string normalised(const std::vector<Rewrite>& steps, std::string_view text, bool begins_input) {
  Offsets none;
  return normalised(steps, text, begins_input, none);
}

Pieces pre_tokenized(const std::vector<PreStep>& steps, std::string_view text, bool begins_input,
                     Offsets& offsets) {
  Pieces now;
  if (!text.empty()) now.push(text);
  for (const PreStep& step : steps) {
    Pieces next;
    Carry carry(offsets);
    bool first = begins_input;
    now.for_each([&](std::string_view piece) {
      if (const auto* cutting = std::get_if<Cut>(&step)) {
        cut(*cutting, piece, next, carry);
      } else if (const std::string out = rewritten(std::get<Rewrite>(step), piece, first, carry);
                 !out.empty()) {
        next.push(out);
      }
      first = false;
    });
    carry.finish();
    now = std::move(next);
    check_growth(text.size(), now.text.size());
  }
  return now;
}

Pieces pre_tokenized(const std::vector<PreStep>& steps, std::string_view text, bool begins_input) {
  Offsets none;
  return pre_tokenized(steps, text, begins_input, none);
}

const std::array<std::string, 256>& byte_letters() { return letters().of_byte; }

int byte_of_letter(char32_t code) { return code < letters().of_code.size() ? letters().of_code[code] : -1; }

}  // namespace prefer::text
