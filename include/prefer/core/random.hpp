// Keyed randomness without state: a draw for every (seed, step, record, sample, site, position), and record
// order.
//
// The bit layout below and the rounds of Permutation are a file format: a resumed run must see what the first
// one saw. A golden test pins them (tests/golden/make_random.py is an independent statement of both).
#pragma once

#include <array>
#include <cstdint>

namespace prefer {

/// What a random number is for. Whatever is not said stays 0.
struct RandomKey {
  std::uint64_t seed = 0;
  std::uint64_t step = 0;      ///< the optimizer step, or the epoch or iteration
  std::uint64_t record = 0;    ///< index of the record in its data set
  std::uint32_t sample = 0;    ///< which of the record's sequences
  std::uint32_t site = 0;      ///< which use, one of random_site
  std::uint64_t position = 0;  ///< token position, or element of a tensor
};

/// The uses of randomness; numbers are never given out twice.
namespace random_site {
inline constexpr std::uint32_t kOrder = 1;     // record order (Permutation)
inline constexpr std::uint32_t kGenerate = 2;  // the token drawn at a position
inline constexpr std::uint32_t kWeights = 3;   // initial weights
inline constexpr std::uint32_t kDropout = 4;
inline constexpr std::uint32_t kNoise = 5;      // noise on embeddings
inline constexpr std::uint32_t kBootstrap = 6;  // confidence intervals
inline constexpr std::uint32_t kMinibatch = 7;  // the order of an iteration's rollouts
inline constexpr std::uint32_t kHeldOut = 8;    // the token drawn at a position of a held-out answer
inline constexpr std::uint32_t kAnswerKl = 9;   // and of an answer that a KL is estimated by
}  // namespace random_site

/// 128 random bits: subkey = the first 64 bits of philox(counter {step, record}, key seed), then
/// philox(counter {position, sample, site}, key subkey); 64-bit words go in low half first.
std::array<std::uint32_t, 4> random_bits(const RandomKey& key);

/// Uniform in (0, 1): an odd multiple of 2^-53, from the first 52 of the key's bits (word 1 high, word 0
/// low).
double uniform(const RandomKey& key);

/// A bijection of 0 .. n-1 for each (seed, epoch): eight Feistel rounds on the next even number of bits,
/// walking the cycle until the value is below n (at most four times on average).
class Permutation {
 public:
  /// Throws Error when n is 0.
  Permutation(std::uint64_t seed, std::uint64_t epoch, std::uint64_t n);
  /// Where i goes; throws Error unless i < n.
  std::uint64_t operator()(std::uint64_t i) const;
  std::uint64_t size() const { return n_; }

 private:
  std::uint64_t once(std::uint64_t i) const;

  std::uint64_t n_;
  int half_bits_;
  std::array<std::uint32_t, 2> subkey_;
};

/// Which of n records stands at `position` of a run that goes through the data again and again, newly
/// shuffled each time. Throws Error when n is 0.
std::uint64_t record_at(std::uint64_t seed, std::uint64_t position, std::uint64_t n);

}  // namespace prefer
