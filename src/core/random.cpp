// Keyed draws and the keyed permutation, on Philox4x32-10.
#include "prefer/core/random.hpp"

#include "kernels/philox.hpp"
#include "prefer/core/error.hpp"

#include <bit>

namespace prefer {
namespace {

using kernels::philox;
using kernels::Words;

constexpr int kRounds = 8;

std::uint32_t low(std::uint64_t x) { return static_cast<std::uint32_t>(x); }
std::uint32_t high(std::uint64_t x) { return static_cast<std::uint32_t>(x >> 32); }

Words<2> subkey(std::uint64_t seed, std::uint64_t step, std::uint64_t record) {
  const Words<4> bits =
      philox({{low(step), high(step), low(record), high(record)}}, {{low(seed), high(seed)}});
  return {{bits[0], bits[1]}};
}

}  // namespace

std::array<std::uint32_t, 4> random_bits(const RandomKey& key) {
  const Words<4> bits = philox({{low(key.position), high(key.position), key.sample, key.site}},
                               subkey(key.seed, key.step, key.record));
  return {bits[0], bits[1], bits[2], bits[3]};
}

double uniform(const RandomKey& key) {
  const auto bits = random_bits(key);
  const std::uint64_t word = (std::uint64_t{bits[1]} << 32) | bits[0];
  return static_cast<double>(word >> 12 << 1 | 1) * 0x1p-53;
}

Permutation::Permutation(std::uint64_t seed, std::uint64_t epoch, std::uint64_t n) : n_(n) {
  if (n == 0) fail("a permutation needs at least one record, not 0");
  half_bits_ = (std::bit_width(n - 1) + 1) / 2;
  const Words<2> key = subkey(seed, epoch, 0);
  subkey_ = {key[0], key[1]};
}

std::uint64_t Permutation::once(std::uint64_t i) const {
  const std::uint64_t mask = (std::uint64_t{1} << half_bits_) - 1;
  std::uint64_t left = i >> half_bits_;
  std::uint64_t right = i & mask;
  for (std::uint32_t round = 0; round < kRounds; ++round) {
    const Words<4> bits = philox({{low(right), 0, round, random_site::kOrder}}, {{subkey_[0], subkey_[1]}});
    const std::uint64_t mixed = left ^ (bits[0] & mask);
    left = right;
    right = mixed;
  }
  return left << half_bits_ | right;
}

std::uint64_t Permutation::operator()(std::uint64_t i) const {
  if (i >= n_) fail("a permutation of ", n_, " records has no record ", i);
  if (n_ == 1) return 0;
  do i = once(i);
  while (i >= n_);
  return i;
}

std::uint64_t record_at(std::uint64_t seed, std::uint64_t position, std::uint64_t n) {
  if (n == 0) fail("record order needs at least one record, not 0");
  return Permutation(seed, position / n, n)(position % n);
}

}  // namespace prefer
