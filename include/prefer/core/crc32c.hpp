// CRC-32C (Castagnoli): the checksum of TensorBoard's records and of checkpoint blocks, and what tells a
// model's files from changed ones.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace prefer {

/// The CRC of `bytes`, or of an earlier part and `bytes` when `before` is the earlier part's CRC. The CPU's
/// own instruction is used where it has one; `portable` leaves it out (for tests).
std::uint32_t crc32c(std::span<const std::byte> bytes, std::uint32_t before = 0, bool portable = false);
inline std::uint32_t crc32c(std::string_view text, std::uint32_t before = 0, bool portable = false) {
  return crc32c(std::as_bytes(std::span(text)), before, portable);
}

}  // namespace prefer
