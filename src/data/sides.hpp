// Answers as tokens, as readers of pairs and of rankings make, cut, count and hash them.
#pragma once

#include "prefer/core/sha256.hpp"
#include "prefer/data/tokenised.hpp"

#include <algorithm>

namespace prefer {

/// An answer after its prompt; both texts or both messages, which the chat template sees `tools` with.
TokenisedCompletion encode(const Words& prompt, const Words& answer, const SpanBuilder& builder,
                           const LengthOptions& options, const Json& tools);

/// Whether these are plain strings where a chat template stands by; texts rendered before are none.
bool is_bare(const Words& words, const SpanBuilder& builder, const LengthOptions& options);

/// Cuts an answer to length and counts what happened to it.
TokenisedSide cut(TokenisedCompletion made, const LengthOptions& options, TokenCounts& counts);

/// Tokens of a side that can be scored: the very first token of a sequence has nothing before it.
std::size_t scorable(const TokenisedSide& side);

/// SHA-256 of ids; and ids and numbers into one.
std::string hash_of(const std::vector<std::int32_t>& ids);
void hash_tokens(Sha256& hash, const std::vector<std::int32_t>& ids);
void hash_number(Sha256& hash, double value);

/// The side for the planner, its completion scored.
Sequence sequence_of(const TokenisedSide& side, std::int64_t which, std::vector<float> grade);

/// The counts of all `records` together.
template <class R>
TokenCounts sum_of_counts(const std::vector<R>& records) {
  TokenCounts sum;
  for (const R& record : records) sum += record.counts;
  return sum;
}

/// Throws Error where every completion lost its end token, or every side was truncated.
void check_counts(const TokenCounts& counts, const LengthOptions& options, const std::string& name);

/// Throws Error where of the `records` of `data`, each a `what`, nothing can be learnt.
template <class Data>
void check_trainable(const Data& data, std::size_t records, const char* what, const LengthOptions& options,
                     const std::string& name) {
  if (records == 0) {
    const std::string skipped = data.skipped.text();
    fail(name, ": no ", what, " to train on", skipped.empty() ? "" : "; ", skipped);
  }
  check_counts(data.counts(), options, name);
}

/// Leaves out the records at `places`, which ascend, and counts them as skipped for `reason`.
template <class R>
void leave_out(std::vector<R>& records, Skipped& skipped, std::span<const std::size_t> places,
               const std::string& reason) {
  std::vector<R> kept;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (std::ranges::binary_search(places, i)) {
      skipped.add(reason, records[i].place);
    } else {
      kept.push_back(std::move(records[i]));
    }
  }
  records = std::move(kept);
}

}  // namespace prefer
