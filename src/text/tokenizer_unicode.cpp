// Canonical composition and lower case over the tables of the data files.
#include "tokenizer_unicode.hpp"

#include "prefer/text/utf8.hpp"

#include <algorithm>
#include <unordered_map>
#include <unordered_set>
#include <utility>
#include <vector>

namespace prefer::text::unicode {
namespace {

// Hangul syllables are composed by arithmetic (The Unicode Standard, section 3.12).
constexpr char32_t kSBase = 0xAC00, kLBase = 0x1100, kVBase = 0x1161, kTBase = 0x11A7;
constexpr char32_t kLCount = 19, kVCount = 21, kTCount = 28, kSCount = kLCount * kVCount * kTCount;

struct Tables {
  std::unordered_map<char32_t, std::pair<char32_t, char32_t>> parts;  // second part 0: none
  std::unordered_map<std::uint64_t, char32_t> whole;
  std::unordered_set<char32_t> second;  // parts that join what stands before them

  Tables() {
    for (std::size_t i = 0; i < kComposing.size(); i += 3) {
      parts[kComposing[i]] = {kComposing[i + 1], kComposing[i + 2]};
      whole[key(kComposing[i + 1], kComposing[i + 2])] = kComposing[i];
      second.insert(kComposing[i + 2]);
    }
    for (std::size_t i = 0; i < kDecomposingOnly.size(); i += 3)
      parts[kDecomposingOnly[i]] = {kDecomposingOnly[i + 1], kDecomposingOnly[i + 2]};
    for (std::size_t i = 0; i < kSingles.size(); i += 2) parts[kSingles[i]] = {kSingles[i + 1], 0};
  }
  static std::uint64_t key(char32_t a, char32_t b) { return std::uint64_t{a} << 32 | b; }
};

const Tables& tables() {
  static const Tables value;
  return value;
}

int combining_class(char32_t code) {
  if (code < 0x300) return 0;
  const auto* end = kCombining + kCombiningRuns;
  const auto* run =
      std::lower_bound(kCombining, end, code, [](const auto& r, char32_t c) { return r.last < c; });
  return run != end && run->first <= code ? run->combining_class : 0;
}

struct Mark {
  char32_t code;
  int combining_class;
};

void decompose(char32_t code, std::vector<Mark>& out) {
  if (code >= kSBase && code < kSBase + kSCount) {
    const char32_t index = code - kSBase;
    out.push_back({kLBase + index / (kVCount * kTCount), 0});
    out.push_back({kVBase + index % (kVCount * kTCount) / kTCount, 0});
    if (index % kTCount) out.push_back({kTBase + index % kTCount, 0});
    return;
  }
  const auto found = code < 0xC0 ? tables().parts.end() : tables().parts.find(code);
  if (found == tables().parts.end()) return out.push_back({code, combining_class(code)});
  decompose(found->second.first, out);
  if (found->second.second) decompose(found->second.second, out);
}

char32_t composed(char32_t a, char32_t b) {
  if (a >= kLBase && a < kLBase + kLCount && b >= kVBase && b < kVBase + kVCount)
    return kSBase + ((a - kLBase) * kVCount + (b - kVBase)) * kTCount;
  if (a >= kSBase && a < kSBase + kSCount && (a - kSBase) % kTCount == 0 && b > kTBase &&
      b < kTBase + kTCount)
    return a + (b - kTBase);
  const auto found = tables().whole.find(Tables::key(a, b));
  return found == tables().whole.end() ? 0 : found->second;
}

// Runs of marks in the order of their classes; equal classes keep their order.
void reorder(std::vector<Mark>& marks) {
  for (std::size_t i = 0; i < marks.size();) {
    std::size_t end = i;
    while (end < marks.size() && marks[end].combining_class != 0) ++end;
    std::stable_sort(marks.begin() + static_cast<std::ptrdiff_t>(i),
                     marks.begin() + static_cast<std::ptrdiff_t>(end),
                     [](const Mark& a, const Mark& b) { return a.combining_class < b.combining_class; });
    i = end + 1;
  }
}

// A mark joins the last starter unless a mark of its own class or above stands between them.
std::vector<Mark> compose(const std::vector<Mark>& marks) {
  std::vector<Mark> out;
  std::ptrdiff_t starter = -1;
  for (const Mark& mark : marks) {
    const bool adjacent = starter >= 0 && starter + 1 == static_cast<std::ptrdiff_t>(out.size());
    const bool blocked = !adjacent && !out.empty() && out.back().combining_class >= mark.combining_class;
    if (starter >= 0 && !blocked) {
      auto& base = out[static_cast<std::size_t>(starter)];
      if (const char32_t whole = composed(base.code, mark.code)) {
        base = {whole, combining_class(whole)};
        continue;
      }
    }
    if (mark.combining_class == 0) starter = static_cast<std::ptrdiff_t>(out.size());
    out.push_back(mark);
  }
  return out;
}

// Whether a character begins at `offset` that neither joins nor changes places with what stands before it.
bool is_border(std::string_view text, std::size_t offset) {
  if ((static_cast<unsigned char>(text[offset]) & 0xC0) == 0x80) return false;
  const char32_t code = utf8::first(text.substr(offset)).code;
  if (code < 0x300) return true;
  std::vector<Mark> marks;
  decompose(code, marks);
  const char32_t first = marks.front().code;
  const bool vowel_or_tail = first >= kVBase && first < kTBase + kTCount;
  return marks.front().combining_class == 0 && !vowel_or_tail && !tables().second.contains(first);
}

}  // namespace

std::string nfc(std::string_view text) {
  // Below U+0300 everything is composed already.
  bool simple = true;
  utf8::for_each(text, [&](char32_t code, std::string_view) { simple = simple && code < 0x300; });
  if (simple) return std::string(text);
  std::vector<Mark> marks;
  marks.reserve(text.size());
  utf8::for_each(text, [&](char32_t code, std::string_view) { decompose(code, marks); });
  reorder(marks);
  std::string out;
  out.reserve(text.size());
  for (const Mark& mark : compose(marks)) utf8::append(out, mark.code);
  return out;
}

std::size_t border_before(std::string_view text, std::size_t offset) {
  while (offset > 0 && !is_border(text, offset)) --offset;
  return offset;
}

std::size_t border_after(std::string_view text, std::size_t offset) {
  while (offset < text.size() && !is_border(text, offset)) ++offset;
  return offset;
}

std::string lower(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  utf8::for_each(text, [&](char32_t code, std::string_view) {
    if (code < 0x80) return utf8::append(out, code >= 'A' && code <= 'Z' ? code + 32 : code);
    if (code == 0x130) return void(out += "i\u0307");
    const auto* end = kLower + kLowerRuns;
    const auto* run =
        std::lower_bound(kLower, end, code, [](const auto& r, char32_t c) { return r.last < c; });
    const bool hit = run != end && run->first <= code && (code - run->first) % run->step == 0;
    utf8::append(out, hit ? static_cast<char32_t>(static_cast<std::int64_t>(code) + run->delta) : code);
  });
  return out;
}

bool is_space(char32_t code) {
  return (code >= 9 && code <= 13) || code == 0x20 || code == 0x85 || code == 0xA0 || code == 0x1680 ||
         (code >= 0x2000 && code <= 0x200A) || code == 0x2028 || code == 0x2029 || code == 0x202F ||
         code == 0x205F || code == 0x3000;
}

}  // namespace prefer::text::unicode
