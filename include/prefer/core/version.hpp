// The version of prefer, as CMakeLists.txt has it.
#pragma once

namespace prefer {

inline constexpr const char* kVersion = "0.1.0";

}  // namespace prefer
