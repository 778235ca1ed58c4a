// How many rows products are given, so that they meet few shapes.
#pragma once

#include <bit>
#include <cstdint>

namespace prefer {

/// At least `rows`, by less than 1/`parts` more: one of `parts` (a power of two) counts between a power of two
/// and the next. For each count it has not met, the CPU's library of products generates code anew, and the
/// token counts of training steps are seldom met twice.
inline std::int64_t rounded_rows(std::int64_t rows, std::int64_t parts) {
  if (rows < 2 * parts) return rows;
  const auto step = static_cast<std::int64_t>(std::bit_floor(static_cast<std::uint64_t>(rows))) / parts;
  return (rows + step - 1) / step * step;
}

}  // namespace prefer
