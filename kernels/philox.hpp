// Philox4x32-10, the counter-based random number generator behind every draw of the project.
//
// Ten rounds over four 32-bit words; equal inputs give equal outputs on every machine, and there is no state.
// Source: Salmon, Moraes, Dror, Shaw, 2011, "Parallel random numbers: as easy as 1, 2, 3", section 4.3.
#pragma once

#include "kernels/number.hpp"

#include <cstdint>

namespace prefer::kernels {

/// N 32-bit words, indexed like a std::array, usable on the device.
template <int N>
struct Words {
  std::uint32_t word[N];
  PREFER_HOST_DEVICE constexpr std::uint32_t& operator[](int i) { return word[i]; }
  PREFER_HOST_DEVICE constexpr const std::uint32_t& operator[](int i) const { return word[i]; }
};

/// The 128 random bits at `counter` of the stream that `key` names.
PREFER_HOST_DEVICE constexpr Words<4> philox(Words<4> counter, Words<2> key) {
  for (int round = 0; round < 10; ++round) {
    const std::uint64_t a = std::uint64_t{0xD2511F53u} * counter[0];
    const std::uint64_t b = std::uint64_t{0xCD9E8D57u} * counter[2];
    counter = {{static_cast<std::uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<std::uint32_t>(b),
                static_cast<std::uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<std::uint32_t>(a)}};
    key = {{key[0] + 0x9E3779B9u, key[1] + 0xBB67AE85u}};  // golden ratio, sqrt(3) - 1
  }
  return counter;
}

}  // namespace prefer::kernels
