// The tables of upper and title case that make_case.py writes.
#pragma once

#include <cstddef>
#include <cstdint>

namespace prefer::jinja {

/// Every `step`-th of first..last is `delta` from its upper case, and from its title case.
struct UpperRun {
  char32_t first, last;
  std::uint32_t step;
  std::int32_t delta;
};
/// A character whose upper case is not one character, or not its title case.
struct SpecialCase {
  char32_t code;
  const char *upper, *title;
};
extern const UpperRun kUpper[];
extern const std::size_t kUpperRuns;
extern const SpecialCase kSpecial[];
extern const std::size_t kSpecialCases;

}  // namespace prefer::jinja
