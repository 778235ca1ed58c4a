// The checks that every kernel makes of its arguments before it touches memory.
#pragma once

#include <cstdint>
#include <cstdio>
#include <stdexcept>
#include <string>
#include <type_traits>

namespace prefer::kernels {

/// "WANTED, not NAME VALUE, NAME VALUE" of names and values in turn; of an address, whether there is one.
inline std::string seen_instead(std::string wanted) { return wanted; }
template <class Value, class... More>
std::string seen_instead(std::string wanted, const char* name, Value value, const More&... more) {
  wanted += std::string(wanted.find(", not ") == std::string::npos ? ", not " : ", ") + name + " ";
  if constexpr (std::is_pointer_v<Value>) {
    wanted += value ? "given" : "null";
  } else if constexpr (std::is_floating_point_v<Value>) {
    char text[32];
    std::snprintf(text, sizeof text, "%g", static_cast<double>(value));
    wanted += text;
  } else {
    wanted += std::to_string(value);
  }
  return seen_instead(std::move(wanted), more...);
}

/// Throws std::invalid_argument unless `holds`: what was `wanted`, and what was `seen`, names and values in
/// turn.
template <class... Seen>
void require(bool holds, const char* wanted, const Seen&... seen) {
  if (!holds) throw std::invalid_argument(seen_instead(wanted, seen...));
}

/// Every one of `index` [count] lies in [0, bound).
inline void require_within(const std::int64_t* index, std::int64_t count, std::int64_t bound,
                           const char* what) {
  for (std::int64_t i = 0; i < count; ++i) {
    if (index[i] < 0 || index[i] >= bound) {
      throw std::invalid_argument(std::string(what) + " of row " + std::to_string(i) + " is " +
                                  std::to_string(index[i]) + ", not in [0, " + std::to_string(bound) + ")");
    }
  }
}

}  // namespace prefer::kernels
