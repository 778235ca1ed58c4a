// The rules of fields, and the nearest known word to a misspelt one.
#include "prefer/core/config.hpp"

#include <algorithm>
#include <cmath>

namespace prefer {
namespace {

std::string number(double value) {
  std::string text = dump(Json(value));
  if (text.ends_with(".0")) text.resize(text.size() - 2);
  return text;
}

/// Edits (insert, drop, change, swap of neighbours) that make one word of the other.
std::size_t distance(std::string_view a, std::string_view b) {
  std::vector<std::size_t> before(b.size() + 1), last(b.size() + 1), now(b.size() + 1);
  for (std::size_t j = 0; j <= b.size(); ++j) last[j] = j;
  for (std::size_t i = 1; i <= a.size(); ++i) {
    now[0] = i;
    for (std::size_t j = 1; j <= b.size(); ++j) {
      now[j] = std::min({last[j] + 1, now[j - 1] + 1, last[j - 1] + (a[i - 1] != b[j - 1])});
      if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1])
        now[j] = std::min(now[j], before[j - 2] + 1);
    }
    before.swap(last);
    last.swap(now);
  }
  return last[b.size()];
}

}  // namespace

std::string Rule::text() const {
  std::string text;
  const bool bounded_low = std::isfinite(low), bounded_high = std::isfinite(high);
  if (bounded_low && bounded_high)
    text = above_low ? "> " + number(low) + " and <= " + number(high) : number(low) + " .. " + number(high);
  else if (bounded_low)
    text = (above_low ? "> " : ">= ") + number(low);
  else if (bounded_high)
    text = "<= " + number(high);
  for (const std::string& choice : choices) text += (text.empty() ? "" : " | ") + choice;
  if (required) text += text.empty() ? "required" : ", required";
  return text;
}

Rule positive() { return {.low = 0, .above_low = true}; }
Rule non_negative() { return {.low = 0}; }
Rule at_least(double low) { return {.low = low}; }
Rule within(double low, double high) { return {.low = low, .high = high}; }
Rule one_of(std::vector<std::string> choices) { return {.choices = std::move(choices)}; }
Rule path() { return {.named = true}; }
Rule free_text() { return {.free = true}; }
Rule required() { return {.required = true}; }

Rule operator&(Rule a, const Rule& b) {
  if (b.low >= a.low) {
    a.above_low = b.low > a.low ? b.above_low : a.above_low || b.above_low;
    a.low = b.low;
  }
  a.high = std::min(a.high, b.high);
  if (a.choices.empty()) a.choices = b.choices;
  a.named = a.named || b.named;
  a.required = a.required || b.required;
  a.free = a.free || b.free;
  return a;
}

std::string nearest(std::string_view word, const std::vector<std::string>& known) {
  constexpr std::size_t kLongest = 64;  // the work is quadratic
  std::string best;
  std::size_t least = std::max<std::size_t>(1, word.size() / 3) + 1;
  if (word.size() > kLongest) return best;
  for (const std::string& candidate : known) {
    const bool short_word = word.size() <= 3;  // where one letter more or less is another word: gpu, cpu
    if (short_word && !word.empty() && !candidate.starts_with(word.front())) continue;
    const std::size_t edits = distance(word, candidate);
    if (edits < least && edits < std::max(word.size(), candidate.size())) {
      least = edits;
      best = candidate;
    }
  }
  return best;
}

}  // namespace prefer
