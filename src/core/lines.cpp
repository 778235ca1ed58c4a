// Cuts files into lines, unpacking gzip on the way.
#include "prefer/core/lines.hpp"

#include <unistd.h>
#include <zlib.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <optional>

namespace prefer {
namespace {

constexpr std::size_t kBlock = std::size_t{1} << 17;
constexpr const char* kWhite = " \t\r\n";

class Plain : public LineReader::Bytes {
 public:
  explicit Plain(File file) : file_(std::move(file)), left_(file_.size()) {}

  std::size_t read(std::span<std::byte> to) override {
    const std::size_t n = std::min<std::uint64_t>(to.size(), left_);
    file_.read(to.subspan(0, n), at_);
    at_ += n;
    left_ -= n;
    return n;
  }

 private:
  File file_;
  std::uint64_t left_, at_ = 0;
};

/// The standard input, which may be a pipe: it is read once, from the front.
class StandardInput : public LineReader::Bytes {
 public:
  /// As many of its first bytes as a byte order mark has, or as there are; reading begins with all of them.
  std::span<const std::byte> begins() {
    while (ahead_ < first_.size()) {
      const std::size_t n = take(std::span(first_).subspan(ahead_));
      if (n == 0) break;
      ahead_ += n;
    }
    return std::span(first_).first(ahead_);
  }

  std::size_t read(std::span<std::byte> to) override {
    if (given_ == ahead_) return take(to);
    const std::size_t n = std::min(to.size(), ahead_ - given_);
    std::copy_n(first_.begin() + static_cast<std::ptrdiff_t>(given_), n, to.begin());
    given_ += n;
    return n;
  }

 private:
  static std::size_t take(std::span<std::byte> to) {
    ssize_t n = ::read(STDIN_FILENO, to.data(), to.size());
    while (n < 0 && errno == EINTR) n = ::read(STDIN_FILENO, to.data(), to.size());
    if (n < 0) throw FsError("the standard input", "read", errno);
    return static_cast<std::size_t>(n);
  }

  std::array<std::byte, 3> first_{};
  std::size_t ahead_ = 0, given_ = 0;  // bytes of first_ that were taken, and that were read
};

class Gzip : public LineReader::Bytes {
 public:
  explicit Gzip(std::unique_ptr<LineReader::Bytes> packed) : packed_(std::move(packed)), in_(kBlock) {
    constexpr int kGzipOnly = 15 + 16;
    if (inflateInit2(&state_, kGzipOnly) != Z_OK) throw std::bad_alloc();
  }
  ~Gzip() override { inflateEnd(&state_); }

  std::size_t read(std::span<std::byte> to) override {
    state_.next_out = reinterpret_cast<Bytef*>(to.data());
    state_.avail_out = static_cast<uInt>(to.size());
    // Of a pipe that trickles too, at least what a byte order mark takes, or all.
    while (to.size() - state_.avail_out < std::min<std::size_t>(3, to.size()) && !done_) step();
    return to.size() - state_.avail_out;
  }

 private:
  void step() {
    if (state_.avail_in == 0) {
      state_.next_in = reinterpret_cast<Bytef*>(in_.data());
      state_.avail_in = static_cast<uInt>(packed_->read(in_));
    }
    const bool out_of_bytes = state_.avail_in == 0;
    if (between_members_) {
      if (out_of_bytes) done_ = true;
      if (out_of_bytes || skip_padding()) return;
      inflateReset(&state_);
      between_members_ = false;
    }
    const int code = inflate(&state_, Z_NO_FLUSH);
    if (code == Z_STREAM_END)
      between_members_ = true;
    else if (code != Z_OK && (code != Z_BUF_ERROR || out_of_bytes))
      fail("gzip data ", code == Z_BUF_ERROR ? "end early" : "are damaged",
           code != Z_BUF_ERROR && state_.msg ? std::string(": ") + state_.msg : "");
  }

  /// Zeros may fill up the last block of a medium.
  bool skip_padding() {
    while (state_.avail_in > 0 && *state_.next_in == 0) {
      ++state_.next_in;
      --state_.avail_in;
    }
    return state_.avail_in == 0;
  }

  std::unique_ptr<LineReader::Bytes> packed_;
  std::vector<std::byte> in_;
  z_stream state_{};
  bool between_members_ = false, done_ = false;
};

/// Of "-", and of what the shell calls the standard input where that is no file.
bool is_standard_input(Fs& fs, const std::string& path) {
  if (path == "-") return true;
  if (path != "/dev/stdin") return false;
  const auto status = fs.status(path);
  return status && status->kind == FileKind::other;
}

/// Whether what begins so is gzip.
bool is_gzip(std::span<const std::byte> first) {
  return first.size() >= 2 && first[0] == std::byte{0x1f} && first[1] == std::byte{0x8b};
}

std::unique_ptr<LineReader::Bytes> open_bytes(Fs& fs, const std::string& path) {
  if (is_standard_input(fs, path)) {
    auto input = std::make_unique<StandardInput>();
    if (is_gzip(input->begins())) return std::make_unique<Gzip>(std::move(input));
    return input;
  }
  File file = File::open(fs, path);
  std::array<std::byte, 2> first{};
  if (file.size() >= first.size()) file.read(first, 0);
  const bool packed = is_gzip(first);
  if (!packed && path.ends_with(".gz")) fail(path, ": is no gzip file, as its name says");
  auto plain = std::make_unique<Plain>(std::move(file));
  if (packed) return std::make_unique<Gzip>(std::move(plain));
  return plain;
}

bool blank(std::string_view text) { return text.find_first_not_of(kWhite) == std::string_view::npos; }

/// Of a table, plain text or a picture, what a parser of JSON misses in it would help nobody.
std::string what_else(std::string_view text) {
  if (text.starts_with("\xff\xfe") || text.starts_with("\xfe\xff")) return "is UTF-16; UTF-8 is wanted";
  if (text.starts_with("\x1f\x8b")) return "is gzip, packed once more";
  if (text.starts_with("\x28\xb5\x2f\xfd")) return "is zstd; plain text or gzip is wanted";
  if (text.starts_with("PAR1")) return "is Parquet; lines of JSON are wanted";
  return "begins with " + quote(text, 24);
}

}  // namespace

LineReader::LineReader(Fs& fs, const std::string& path, const LineLimits& limits)
    : path_(path), limits_(limits), bytes_(open_bytes(fs, path)) {}
LineReader::LineReader(LineReader&&) noexcept = default;
LineReader::~LineReader() = default;

Json LineReader::record(const Line& line) const {
  JsonLimits limits = JsonLimits::record();
  limits.big_integers_as_double = true;  // columns that nobody reads hold 64-bit hashes
  try {
    return parse_json(line.text, JsonSource{path_, line.number}, limits);
  } catch (const Error&) {
    std::size_t begin = line.text.starts_with("\xef\xbb\xbf") ? 3 : 0;
    begin = std::min(line.text.find_first_not_of(kWhite, begin), line.text.size() - 1);
    if (line.text[begin] == '{' || line.text[begin] == '[') throw;
    fail(path_, ":", line.number, ":", begin + 1, ": a record is a line of JSON, {...}, and this line ",
         what_else(line.text.substr(begin)));
  }
}

bool LineReader::fill() {
  if (ended_) return false;
  offset_ += begin_;
  buffer_.erase(0, begin_);
  begin_ = 0;
  const std::size_t held = buffer_.size();
  buffer_.resize(held + kBlock);
  std::size_t n = 0;
  try {
    n = bytes_->read(std::as_writable_bytes(std::span(buffer_)).subspan(held));
  } catch (const FsError&) {
    throw;
  } catch (const Error& error) {
    refuse(error.what(), "; ", number_ - blank_, " good lines came before");
  }
  buffer_.resize(held + n);
  ended_ = n == 0;
  if (offset_ + buffer_.size() > limits_.max_total)
    refuse("the file unpacks to more than ", limits_.max_total, " bytes");
  if (offset_ == 0 && held == 0 && buffer_.starts_with("\xef\xbb\xbf")) begin_ = 3;
  return n > 0;
}

bool LineReader::begins_with(char wanted) {
  for (std::size_t white = 0;;) {  // bytes from begin_ on that were looked at
    const std::size_t at = buffer_.find_first_not_of(kWhite, begin_ + white);
    if (at != std::string::npos) return buffer_[at] == wanted;
    step_over_blank_lines();
    white = buffer_.size() - begin_;
    if (white > limits_.max_line || !fill()) return false;  // next() refuses so long a line
  }
}

void LineReader::step_over_blank_lines() {
  const std::size_t last = buffer_.rfind('\n');
  if (last == std::string::npos || last < begin_) return;
  const auto end = buffer_.begin() + static_cast<std::ptrdiff_t>(last) + 1;
  const auto lines = std::count(buffer_.begin() + static_cast<std::ptrdiff_t>(begin_), end, '\n');
  number_ += static_cast<std::size_t>(lines);
  blank_ += static_cast<std::size_t>(lines);
  begin_ = last + 1;
}

bool LineReader::next_of_any(Line& line) {
  std::size_t searched = begin_;
  std::size_t end = buffer_.find('\n', searched);
  while (end == std::string::npos) {
    if (buffer_.size() - begin_ > limits_.max_line) break;
    const std::size_t before = buffer_.size() - begin_;
    if (!fill()) break;
    searched = begin_ + before;
    end = buffer_.find('\n', std::min(searched, buffer_.size()));
  }
  const bool last = end == std::string::npos;
  if (last) end = buffer_.size();
  if (end - begin_ > limits_.max_line) refuse("the line is longer than ", limits_.max_line, " bytes");
  if (last && end == begin_) return false;
  std::string_view text = std::string_view(buffer_).substr(begin_, end - begin_);
  if (text.ends_with('\r')) text.remove_suffix(1);
  line = {++number_, offset_ + begin_, text};
  begin_ = last ? end : end + 1;
  return true;
}

bool LineReader::next(Line& line) {
  while (next_of_any(line)) {
    if (!blank(line.text)) return true;
    ++blank_;
  }
  return false;
}

}  // namespace prefer
