// The one exception type of prefer, and the one way to raise it.
#pragma once

#include <sstream>
#include <stdexcept>
#include <string>

namespace prefer {

/// What went wrong with the input, the config or a file, in one line: what was asked, what was seen, what is
/// allowed. A program's `main` prints it and exits with 1.
class Error : public std::runtime_error {
 public:
  using std::runtime_error::runtime_error;
};

/// Throws Error with the parts written one after the other, as a stream would write them.
template <class... Parts>
[[noreturn]] void fail(const Parts&... parts) {
  std::ostringstream out;
  (out << ... << parts);
  throw Error(out.str());
}

}  // namespace prefer
