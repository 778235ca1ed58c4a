// SHA-256 (FIPS 180-4): what names contents: checkpoints, configs, data.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

namespace prefer {

class Sha256 {
 public:
  /// The CPU's own instructions are used where it has them; `portable` leaves them out (for tests).
  explicit Sha256(bool portable = false);
  void add(std::span<const std::byte> bytes);
  void add(std::string_view text) { add(std::as_bytes(std::span(text))); }
  /// The 64 hexadecimal digits of all that was added; the object is used up.
  std::string hex();

 private:
  void pad();

  std::array<std::uint32_t, 8> state_ = {0x6a09e667, 0xbb67ae85, 0x3c6ef372, 0xa54ff53a,
                                         0x510e527f, 0x9b05688c, 0x1f83d9ab, 0x5be0cd19};
  std::array<std::byte, 64> block_{};
  std::uint64_t length_ = 0;  // bytes so far
  bool portable_;
};

std::string sha256(std::span<const std::byte> bytes);
std::string sha256(std::string_view text);

}  // namespace prefer
