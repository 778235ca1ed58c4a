// The bounded byte reader, over memory or a file read in blocks.
#include "prefer/core/bytes.hpp"

#include "prefer/core/fs.hpp"

#include <algorithm>

namespace prefer {

ByteReader::ByteReader(std::string name, std::span<const std::byte> bytes)
    : name_(std::move(name)), size_(bytes.size()), window_(bytes) {}

ByteReader::ByteReader(const File& file) : name_(file.path()), file_(&file), size_(file.size()) {}

void ByteReader::need(std::uint64_t bytes, std::string_view what) const {
  if (bytes > left()) fail_here(what, " needs ", bytes, " bytes, but only ", left(), " are left");
}

void ByteReader::bytes(std::span<std::byte> to, std::string_view what) {
  constexpr std::uint64_t kBlock = std::uint64_t{1} << 18;
  need(to.size(), what);
  while (!to.empty()) {
    if (offset_ == window_begin_ + window_.size()) {
      buffer_.resize(std::min(kBlock, left()));
      file_->read(buffer_, offset_);
      window_ = buffer_;
      window_begin_ = offset_;
    }
    const auto ahead = window_.subspan(offset_ - window_begin_);
    const std::size_t n = std::min(to.size(), ahead.size());
    std::memcpy(to.data(), ahead.data(), n);
    to = to.subspan(n);
    offset_ += n;
  }
}

std::string ByteReader::text(std::uint64_t length, std::string_view what) {
  need(length, what);
  std::string text(length, '\0');
  bytes(std::as_writable_bytes(std::span(text)), what);
  return text;
}

}  // namespace prefer
