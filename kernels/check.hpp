// The checks that every kernel makes of its arguments before it touches memory.
#pragma once

#include <cstdint>
#include <stdexcept>
#include <string>

namespace prefer::kernels {

inline void require(bool holds, const char* message) {
  if (!holds) throw std::invalid_argument(message);
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
