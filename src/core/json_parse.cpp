// Reads JSON text into values through nlohmann's event interface, under limits.
#include "prefer/core/json.hpp"

#include <nlohmann/json.hpp>

#include <algorithm>
#include <cctype>
#include <cstring>
#include <iterator>

namespace prefer {
namespace {

/// Lets the lexer walk over the text while the builder sees how far it is.
class Cursor {
 public:
  using iterator_category = std::forward_iterator_tag;
  using value_type = char;
  using difference_type = std::ptrdiff_t;
  using pointer = const char*;
  using reference = const char&;

  Cursor(const char* at, const char** seen) : at_(at), seen_(seen) {}
  reference operator*() const { return *at_; }
  Cursor& operator++() {
    *seen_ = ++at_;
    return *this;
  }
  Cursor operator++(int) {
    const Cursor before = *this;
    ++*this;
    return before;
  }
  friend bool operator==(const Cursor& a, const Cursor& b) { return a.at_ == b.at_; }
  friend bool operator!=(const Cursor& a, const Cursor& b) { return a.at_ != b.at_; }

 private:
  const char* at_;
  const char** seen_;
};

/// The reader's own complaint without its prefix and without a copy of the text.
std::string_view reason(std::string_view what) {
  const std::size_t column = what.find(", column ");
  const std::size_t begin = what.find(": ", column == std::string_view::npos ? 0 : column);
  if (begin != std::string_view::npos) what.remove_prefix(begin + 2);
  return what.substr(0, what.find("; last read"));
}

}  // namespace

/// Receives the reader's events and builds the value, innermost container last.
class JsonBuilder {
 public:
  using number_integer_t = nlohmann::json::number_integer_t;
  using number_unsigned_t = nlohmann::json::number_unsigned_t;
  using number_float_t = nlohmann::json::number_float_t;
  using string_t = nlohmann::json::string_t;
  using binary_t = nlohmann::json::binary_t;

  JsonBuilder(std::string_view text, std::shared_ptr<const JsonSource> source, const JsonLimits& limits)
      : text_(text), source_(std::move(source)), limits_(limits), seen_(text.data()), end_(text.data()) {}

  Json parse() {
    const Cursor first(text_.data(), &seen_), last(text_.data() + text_.size(), &seen_);
    nlohmann::json::sax_parse(first, last, this);
    return std::move(root_);
  }

  bool null() { return add(Json()); }
  bool boolean(bool value) { return add(Json(value)); }
  bool number_integer(number_integer_t value) { return add(Json(value)); }
  bool number_unsigned(number_unsigned_t value) {
    if (std::in_range<std::int64_t>(value)) return add(Json(value));
    return big_integer(static_cast<double>(value));
  }
  bool number_float(number_float_t value, const string_t& text) {
    const bool integer = text.find_first_of(".eE") == string_t::npos;
    return integer ? big_integer(value) : add(Json(value));
  }
  bool string(string_t& value) { return add(Json(std::move(value))); }
  bool binary(binary_t&) { return false; }

  bool start_object(std::size_t) { return start(Json::object()); }
  bool start_array(std::size_t) { return start(Json::array()); }
  bool key(string_t& name) {
    token();
    open_.back().key = std::move(name);
    return true;
  }
  bool end_object() {
    if (!limits_.duplicate_keys)
      check_keys(open_.back().value.as_object());
    else
      keep_last(open_.back().value.as_object());
    return end();
  }
  bool end_array() { return end(); }

  bool parse_error(std::size_t position, const std::string&, const nlohmann::detail::exception& error) {
    if (error.id == 406) refuse("a number beyond the range of a double");
    const std::size_t at = std::min(position > 0 ? position - 1 : 0, text_.size());
    const std::string_view why = reason(error.what());
    const bool misspelt = why.find("invalid literal") != why.npos || why.find("invalid number") != why.npos;
    fail(source_->place(at), ": ", why, misspelt ? "; seen " + quote(word_around(at), 24) : "");
  }

 private:
  /// What a person would take for the word at which the lexer gave up: NaN, 'text', //.
  std::string_view word_around(std::size_t at) const {
    std::size_t begin = at;
    while (begin > 0 && (std::isalnum(static_cast<unsigned char>(text_[begin - 1])) ||
                         std::memchr("+-.", text_[begin - 1], 3)))
      --begin;
    return text_.substr(begin, std::min(text_.find_first_of(" \t\r\n,:[]{}", at), text_.size()) - begin);
  }

  struct Open {
    Json value;
    std::string key;
  };

  /// Where the token just read began: between two tokens stand only white space and punctuation (of which the
  /// lexer may have read one character too many).
  std::size_t token() {
    const char* const last = text_.data() + text_.size();
    const char* begin = end_;
    if (begin == text_.data() && text_.starts_with("\xef\xbb\xbf")) begin += 3;
    while (begin < last && std::memchr(" \t\r\n,:]}", *begin, 8)) ++begin;
    end_ = seen_;
    return static_cast<std::size_t>(begin - text_.data());
  }

  Json placed(Json value) {
    if (++values_ > limits_.max_values) refuse("more than ", limits_.max_values, " values");
    value.offset_ = token();
    value.source_ = source_;
    return value;
  }

  bool add(Json value) { return attach(placed(std::move(value))); }

  bool attach(Json value) {
    if (open_.empty())
      root_ = std::move(value);
    else if (open_.back().value.is_array())
      open_.back().value.as_array().push_back(std::move(value));
    else
      open_.back().value.as_object().emplace_back(std::move(open_.back().key), std::move(value));
    return true;
  }

  bool start(Json container) {
    if (open_.size() >= limits_.max_depth) refuse("nested deeper than ", limits_.max_depth);
    open_.push_back({placed(std::move(container)), {}});
    return true;
  }

  bool end() {
    end_ = seen_;
    Json value = std::move(open_.back().value);
    open_.pop_back();
    return attach(std::move(value));
  }

  bool big_integer(double value) {
    if (!limits_.big_integers_as_double) refuse("an integer beyond 64 signed bits");
    return add(Json(value));
  }

  using Member = std::pair<std::string, Json>;
  static std::vector<const Member*> sorted(const Json::Object& members) {
    std::vector<const Member*> order;
    order.reserve(members.size());
    for (const Member& member : members) order.push_back(&member);
    std::sort(order.begin(), order.end(), [](const Member* a, const Member* b) {
      const int compared = a->first.compare(b->first);
      return compared != 0 ? compared < 0 : a < b;
    });
    return order;
  }

  static bool same_key(const Member* a, const Member* b) { return a->first == b->first; }

  void check_keys(const Json::Object& members) {
    const auto order = sorted(members);
    const auto twice = std::adjacent_find(order.begin(), order.end(), same_key);
    if (twice != order.end())
      (*(twice + 1))->second.fail_here("the key ", quote((*twice)->first), " stands twice");
  }

  void keep_last(Json::Object& members) {
    const auto order = sorted(members);
    std::vector<bool> drop(members.size());
    bool any = false;
    for (std::size_t i = 0; i + 1 < order.size(); ++i)
      if (same_key(order[i], order[i + 1]))
        any = drop[static_cast<std::size_t>(order[i] - members.data())] = true;
    if (!any) return;
    Json::Object kept;
    for (std::size_t i = 0; i < members.size(); ++i)
      if (!drop[i]) kept.push_back(std::move(members[i]));
    members = std::move(kept);
  }

  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) {
    fail(source_->place(token()), ": ", parts...);
  }

  std::string_view text_;
  std::shared_ptr<const JsonSource> source_;
  const JsonLimits& limits_;
  const char* seen_;  // how far the lexer has read
  const char* end_;   // how far it had read when the last token was done
  std::size_t values_ = 0;
  std::vector<Open> open_;
  Json root_;
};

Json parse_json(std::string_view text, JsonSource source, const JsonLimits& limits) {
  if (text.size() > limits.max_bytes)
    fail(source.name, ": ", text.size(), " bytes of JSON, more than the ", limits.max_bytes, " allowed");
  for (std::size_t at = text.find('\n'); at != std::string_view::npos; at = text.find('\n', at + 1))
    source.newlines.push_back(static_cast<std::uint32_t>(at));
  // The lexer takes a NUL for the end of its input.
  if (const std::size_t nul = text.find('\0'); nul != std::string_view::npos)
    fail(source.place(nul), ": a NUL byte");
  return JsonBuilder(text, std::make_shared<const JsonSource>(std::move(source)), limits).parse();
}

}  // namespace prefer
