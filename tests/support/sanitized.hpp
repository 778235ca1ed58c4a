// Whether the tests are compiled with sanitizers, under which they take about ten times as long.
#pragma once

#include <cstdint>

namespace prefer::testing {

#ifdef PREFER_SANITIZED
inline constexpr bool kSanitized = true;
#else
inline constexpr bool kSanitized = false;
#endif

/// A size that is large because real ones are: an eighth of it with sanitizers, to whose eyes a row of many
/// blocks is a row of some.
constexpr std::int64_t large(std::int64_t size) { return kSanitized ? size / 8 : size; }

}  // namespace prefer::testing
