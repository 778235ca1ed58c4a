// What a program tells its user: lines on stderr, by level. Passed as an argument; there is no global log.
#pragma once

#include <functional>
#include <memory>
#include <sstream>
#include <string_view>

namespace prefer {

enum class LogLevel { debug, info, warning, error, silent };

class Log {
 public:
  /// Lines of at least `level` go to stderr, with the time of day, in colour on a terminal.
  explicit Log(LogLevel level = LogLevel::info);
  /// ... or to `sink`, as "level: text" (for tests and reports). Called under a lock.
  Log(LogLevel level, std::function<void(std::string_view)> sink);

  template <class... Parts>
  void debug(const Parts&... parts) const {
    write(LogLevel::debug, parts...);
  }
  template <class... Parts>
  void info(const Parts&... parts) const {
    write(LogLevel::info, parts...);
  }
  template <class... Parts>
  void warning(const Parts&... parts) const {
    write(LogLevel::warning, parts...);
  }
  template <class... Parts>
  void error(const Parts&... parts) const {
    write(LogLevel::error, parts...);
  }

 private:
  template <class... Parts>
  void write(LogLevel level, const Parts&... parts) const {
    if (level < level_) return;
    std::ostringstream text;
    (text << ... << parts);
    put(level, text.str());
  }
  void put(LogLevel level, std::string_view text) const;

  class Sink;
  LogLevel level_;
  std::shared_ptr<Sink> sink_;  // copies of a Log write to the same place
};

}  // namespace prefer
