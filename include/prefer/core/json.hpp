// JSON values that remember where they stood, and a strict, bounded reader and writer for them.
#pragma once

#include "prefer/core/error.hpp"

#include <concepts>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <variant>
#include <vector>

namespace prefer {

/// What a JSON text was read from: errors start with `name:line:column`, both from 1, columns in bytes.
struct JsonSource {
  std::string name;                             ///< the file, as the user knows it
  std::size_t first_line = 1;                   ///< the line of the file on which the text begins
  std::vector<std::uint32_t> newlines = {};     ///< byte offsets, filled by the reader
  std::string place(std::size_t offset) const;  ///< "name:line:column"
};

/// A value of RFC 8259. Objects keep their order. Integers that fit 64 signed bits stay integers.
/// Accessors throw Error with the value's place when it is of another type or a key is missing.
class Json {
 public:
  using Array = std::vector<Json>;
  using Object = std::vector<std::pair<std::string, Json>>;
  enum class Type { null, boolean, integer, number, string, array, object };

  Json() = default;
  Json(std::nullptr_t) {}
  template <std::same_as<bool> T>
  Json(T value) : value_(value) {}
  template <std::integral T>
  requires(!std::same_as<T, bool>) Json(T value) : value_(narrowed(value)) {}
  Json(double value) : value_(value) {}
  Json(std::string value) : value_(std::move(value)) {}
  Json(std::string_view value) : value_(std::string(value)) {}
  Json(const char* value) : value_(std::string(value)) {}
  explicit Json(Array value) : value_(std::move(value)) {}
  explicit Json(Object value) : value_(std::move(value)) {}
  static Json array(Array items = {}) { return Json(std::move(items)); }
  static Json object(Object members = {}) { return Json(std::move(members)); }

  Type type() const { return static_cast<Type>(value_.index()); }
  const char* type_name() const;  ///< "an object", "a string", ...: for messages
  bool is_null() const { return type() == Type::null; }
  bool is_bool() const { return type() == Type::boolean; }
  bool is_integer() const { return type() == Type::integer; }
  bool is_number() const { return type() == Type::number || is_integer(); }  ///< an integer is a number
  bool is_string() const { return type() == Type::string; }
  bool is_array() const { return type() == Type::array; }
  bool is_object() const { return type() == Type::object; }

  bool as_bool() const;
  std::int64_t as_integer() const;
  double as_number() const;  ///< integers are widened
  const std::string& as_string() const&;
  const Array& as_array() const&;
  const Object& as_object() const&;
  Array& as_array() &;
  Object& as_object() &;

  /// The member of that name; throws when it is missing.
  const Json& at(std::string_view key) const&;
  /// The member of that name or null. Linear in the number of members; walk as_object() for large ones.
  const Json* find(std::string_view key) const&;
  const Json* find(std::string_view key) && = delete;
  bool contains(std::string_view key) const { return find(key) != nullptr; }
  const Json& at(std::size_t index) const&;

  // Of a value that is about to go, copies: `for (auto& item : parse_json(text, name).as_array())` is safe.
  std::string as_string() && { return std::as_const(*this).as_string(); }
  Array as_array() && { return std::as_const(*this).as_array(); }
  Object as_object() && { return std::as_const(*this).as_object(); }
  Json at(std::string_view key) && { return std::as_const(*this).at(key); }
  Json at(std::size_t index) && { return std::as_const(*this).at(index); }

  std::size_t size() const;  ///< of an array or object

  /// Sets a member (a new one goes to the end); a null value becomes an object first.
  Json& set(std::string key, Json value);
  /// Appends an item; a null value becomes an array first.
  Json& push(Json value);

  std::size_t offset() const { return offset_; }  ///< byte offset of the value in the text it was read from
  std::string place() const;  ///< "name:line:column", or "json" for a value made by a program
  /// Throws Error("name:line:column: " + parts).
  template <class... Parts>
  [[noreturn]] void fail_here(const Parts&... parts) const {
    fail(place(), ": ", parts...);
  }

  /// Equal values; where they stood does not matter.
  friend bool operator==(const Json& a, const Json& b) { return a.value_ == b.value_; }

 private:
  friend class JsonBuilder;
  template <std::integral T>
  static std::int64_t narrowed(T value) {
    if (!std::in_range<std::int64_t>(value)) fail("json: ", value, " does not fit 64 signed bits");
    return static_cast<std::int64_t>(value);
  }
  [[noreturn]] void wrong_type(const char* wanted) const;

  std::variant<std::monostate, bool, std::int64_t, double, std::string, Array, Object> value_;
  std::shared_ptr<const JsonSource> source_;
  std::size_t offset_ = 0;
};

/// What a JSON text may be. NaN, infinities, invalid UTF-8 and control characters in strings are always
/// refused.
struct JsonLimits {
  std::size_t max_bytes = std::size_t{64} << 20;
  std::size_t max_depth = 128;
  std::size_t max_values = std::size_t{2} << 20;  ///< each takes 64 bytes in memory
  bool duplicate_keys = false;                    ///< true: the last one wins
  bool big_integers_as_double = false;            ///< false: an integer beyond 64 signed bits is an error

  static JsonLimits config() { return {.max_bytes = std::size_t{1} << 20, .max_depth = 64}; }
  static JsonLimits record() { return {.max_bytes = std::size_t{16} << 20}; }
  static JsonLimits model_file() {
    return {.max_values = std::size_t{16} << 20, .big_integers_as_double = true};
  }
};

/// Reads one JSON value that fills `text` (white space around it and a byte order mark before it are
/// allowed). Throws Error("name:line:column: what") on anything else.
Json parse_json(std::string_view text, JsonSource source, const JsonLimits& limits = {});
inline Json parse_json(std::string_view text, const std::string& name, const JsonLimits& limits = {}) {
  return parse_json(text, JsonSource{name}, limits);
}

/// Writes a value: UTF-8 as it is (what is none becomes U+FFFD, as in Python's errors="replace"), doubles as
/// their shortest text that reads back to the same bits (always with a point or exponent). indent < 0: one
/// line without spaces. Throws on NaN and infinities, which JSON lacks.
std::string dump(const Json& json, int indent = -1);

/// A string as JSON writes it, cut after about `shown` bytes: how messages quote what users wrote.
std::string quote(std::string_view text, std::size_t shown = 80);

}  // namespace prefer
