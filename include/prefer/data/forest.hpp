// A plan of what one forward computes: sequences laid out as a forest of token segments with shared prefixes.
#pragma once

#include <cstdint>
#include <limits>
#include <span>
#include <vector>

namespace prefer {

/// Which loss term a scored token serves.
enum class Term : std::uint8_t { completion = 0, prompt = 1 };

/// What a sequence is to its group.
namespace role {
inline constexpr std::int64_t kChosen = 0;  ///< or answer 0 of K; answer k has role k
inline constexpr std::int64_t kRejected = 1;
inline constexpr std::int64_t kStatistic = -1;  ///< run without gradient by `prepare` only, serves no term
}  // namespace role

/// A half-open range of a sequence's tokens that are scored for a term. The token at 0 has nothing before it
/// and cannot be scored.
struct ScoredRange {
  std::int64_t begin = 0;
  std::int64_t end = 0;
  Term term = Term::completion;
};

/// A token whose hidden state is read as it is (reward, value, process steps), and what the reading should
/// be.
struct Read {
  std::int64_t token = 0;
  float target = std::numeric_limits<float>::quiet_NaN();  ///< NaN = not given
};

/// One sequence as a loss sees it, before any layout.
struct Sequence {
  std::vector<std::int32_t> tokens = {};
  std::vector<ScoredRange> scored = {};
  std::int64_t group = 0;  ///< sequences of one group share prefixes and meet in one loss (a pair, K answers)
  std::int64_t role = role::kChosen;
  /// Label, rank, score or attributes; NaN = not given; the same number for all.
  std::vector<float> grade = {};
  float share = 1;                 ///< weight of the record
  std::vector<float> weight = {};  ///< a weight for each scored token, or empty
  std::vector<Read> reads = {};
};

/// An answer after its prompt, the answer's tokens scored; where the prompt is empty, all but its first.
Sequence answer_after(std::span<const std::int32_t> prompt, std::span<const std::int32_t> answer);

/// A run of tokens that stand one after the other in the batch. It attends to its ancestors and, causally, to
/// itself.
struct Segment {
  std::int64_t begin = 0;  ///< first token in the batch
  std::int64_t length = 0;
  std::int64_t parent = -1;   ///< segment whose tokens stand before this one's; -1 = root
  std::int64_t position = 0;  ///< position of its first token in the sequences it belongs to
};

/// The layout of a micro-batch: T tokens in G segments, M scored tokens of S sequences, P reads.
struct Forest {
  std::vector<std::int32_t> tokens;         // [T]
  std::vector<std::int64_t> positions;      // [T]
  std::vector<Segment> segments;            // [G]
  std::vector<std::int64_t> row;            // [M] token whose hidden state predicts the scored one
  std::vector<std::int64_t> label;          // [M]
  std::vector<std::int64_t> sequence;       // [M] 0..S-1
  std::vector<std::int64_t> term;           // [M]
  std::vector<float> weight;                // [M] or empty
  std::vector<std::int64_t> group;          // [S] 0..N-1 in order of first appearance
  std::vector<std::int64_t> role;           // [S]
  std::vector<float> grade;                 // [S * A]
  std::int64_t grades = 0;                  // A
  std::vector<float> share;                 // [S]
  std::vector<std::int64_t> read_row;       // [P]
  std::vector<std::int64_t> read_sequence;  // [P]
  std::vector<float> read_target;           // [P] NaN = not given

  std::int64_t scored() const { return static_cast<std::int64_t>(row.size()); }
  std::int64_t sequences() const { return static_cast<std::int64_t>(group.size()); }
};

/// Whether sequences of a group compute their longest common token prefixes once.
enum class Sharing : bool { off, on };

/// Lays the sequences out in their order. With sharing, those of one group become a trie of segments: nested
/// where three or more agree for different lengths. Throws Error for an empty sequence or a scored range
/// outside 1..size.
Forest make_forest(std::span<const Sequence> sequences, Sharing sharing);

/// Tokens that make_forest would lay out, without doing it.
std::int64_t forest_tokens(std::span<const Sequence> sequences, Sharing sharing);

}  // namespace prefer
