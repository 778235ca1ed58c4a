// Lines of a text file, plain or gzip, with their numbers: how JSONL is read.
#pragma once

#include "prefer/core/fs.hpp"
#include "prefer/core/json.hpp"

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

namespace prefer {

struct LineLimits {
  std::size_t max_line = std::size_t{16} << 20;       ///< bytes of one line
  std::uint64_t max_total = std::uint64_t{64} << 30;  ///< bytes of all lines, unpacked
};

struct Line {
  std::size_t number;     ///< from 1
  std::uint64_t offset;   ///< of its first byte in the text, unpacked
  std::string_view text;  ///< without its end (LF or CRLF); valid until the next call
};

/// Reads a file, or for "-" the standard input, once from the front. Gzip is known by its first two bytes;
/// members may follow one another, and every member's checksum and length are checked. A byte order mark at
/// the beginning is skipped. Lines of nothing but blanks are left out, but counted. Throws
/// Error("file:line:1: ..."), for damaged gzip with the number of good lines.
class LineReader {
 public:
  LineReader(Fs& fs, const std::string& path, const LineLimits& limits = {});
  LineReader(LineReader&&) noexcept;
  ~LineReader();

  /// Whether the first byte that is no white space is `wanted`; to be asked before any line is taken.
  bool begins_with(char wanted);
  /// The next line that is not blank; false at the end.
  bool next(Line& line);
  std::size_t lines() const { return number_; }  ///< so far, blank ones included
  std::int64_t blank_lines() const { return static_cast<std::int64_t>(blank_); }  ///< so far
  const std::string& path() const { return path_; }
  /// The line as a JSON record; errors carry file, line and column.
  Json record(const Line& line) const;

  /// Where unpacked bytes come from.
  class Bytes {
   public:
    virtual ~Bytes() = default;
    /// Fills a part of `to`; 0 at the end. Throws Error with the reason alone.
    virtual std::size_t read(std::span<std::byte> to) = 0;
  };

 private:
  bool next_of_any(Line& line);
  void step_over_blank_lines();  // where what is held is white space alone: no gigabytes of it are kept
  bool fill();
  template <class... Parts>
  [[noreturn]] void refuse(const Parts&... parts) const {
    fail(path_, ":", number_ + 1, ":1: ", parts...);
  }

  std::string path_;
  LineLimits limits_;
  std::unique_ptr<Bytes> bytes_;
  std::string buffer_;        // bytes from offset_ on
  std::size_t begin_ = 0;     // where the next line begins in buffer_
  std::uint64_t offset_ = 0;  // of buffer_[0]
  std::size_t number_ = 0, blank_ = 0;
  bool ended_ = false;
};

}  // namespace prefer
