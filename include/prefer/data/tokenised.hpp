// Preferences as tokens: encoded, cut to length, checked, named by their content, and handed to the planner.
#pragma once

#include "prefer/core/config.hpp"
#include "prefer/data/dataset.hpp"
#include "prefer/data/preference.hpp"
#include "prefer/text/spans.hpp"

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <unordered_set>
#include <vector>

namespace prefer {

/// A half-open range of a text's tokens.
struct TokenRange {
  std::int64_t begin = 0, end = 0;
  std::int64_t size() const { return end - begin; }
};

/// What is done with texts longer than the model shall see.
struct LengthOptions {
  std::int64_t max_length = 1024;         ///< tokens of prompt and completion together; 0: any
  std::string truncation = "keep_start";  ///< keep_start | keep_end
  bool append_eos = true;                 ///< plain answers end with the end token, as TRL's do
  bool specials_in_text = false;  ///< plain texts may spell control tokens (they were rendered before)

  void describe(Fields& f);
  /// What stays of a text of `size` tokens.
  TokenRange kept(std::int64_t size) const;
};

/// Cuts a list down to a stretch of it.
template <class T>
void keep(std::vector<T>& list, TokenRange kept) {
  list.erase(list.begin() + kept.end, list.end());
  list.erase(list.begin(), list.begin() + kept.begin);
}

/// One answer after its prompt. Both sides of a pair mostly have the same prompt.
struct TokenisedSide {
  std::vector<std::int32_t> prompt = {};
  std::vector<std::int32_t> completion = {};
  friend bool operator==(const TokenisedSide&, const TokenisedSide&) = default;
};

/// What happened to the sides of a record, or of all that are kept, each counted.
struct TokenCounts {
  std::int64_t sides = 0;      ///< two a pair
  std::int64_t truncated = 0;  ///< lost tokens to max_length
  std::int64_t with_end = 0;   ///< had an end token before truncation
  std::int64_t end_lost = 0;   ///< and lost it to truncation
  std::int64_t separate = 0;   ///< prompt and answer encoded apart as their tokens would have merged
  std::int64_t rewritten = 0;  ///< the template writes the prompt otherwise once the answer is there
  std::int64_t unshared = 0;   ///< records whose prompts differ after truncation
  std::int64_t bare = 0;       ///< plain strings beside a chat template, which is for messages alone
  std::int64_t longest = 0;    ///< tokens of the longest side before truncation
  TokenCounts& operator+=(const TokenCounts& other);
  /// One line on so many records, `what` they are; what is 0 is left out.
  std::string text(std::size_t records, const std::string& what) const;
};

struct TokenisedPair {
  TokenisedSide chosen = {}, rejected = {};
  double score_chosen = Preference::kNotGiven;
  double score_rejected = Preference::kNotGiven;
  double margin = Preference::kNotGiven;
  std::string place = {};
  std::string asked = {};  ///< SHA-256 of the chosen side's prompt before truncation
  std::string subset = {};
  TokenCounts counts = {};  ///< of its two sides
};

/// All pairs of a data set, ready to be trained on.
struct PreferenceData {
  std::vector<TokenisedPair> pairs = {};
  Skipped skipped = {};
  TokenCounts counts() const;  ///< of the pairs that are in it now
};

/// Encodes pairs. One with no completion token left after truncation, or with the same tokens on both sides,
/// is left out and counted in `skipped`, whatever on_bad says: it is sound, but nothing can be learnt from
/// it. An Error of the template is thrown with the record's place, or counted with OnBad::skip.
PreferenceData tokenise(std::span<const Preference> pairs, const SpanBuilder& builder,
                        const LengthOptions& options, OnBad on_bad = OnBad::stop);

/// Reads and encodes a file. HH-RLHF's dialogues become messages where `builder` has a chat template.
PreferenceData load_preferences(Fs& fs, const std::string& path, const SpanBuilder& builder,
                                const LengthOptions& options, OnBad on_bad);

/// Throws Error, saying what to change, where training would teach nothing or the wrong thing: no pair is
/// left, every completion lost its end token, or every side was truncated. `name` is the file's, for the
/// message.
void check_trainable(const PreferenceData& data, const LengthOptions& options, const std::string& name);

/// Which of `records` have a prompt, as tokens before truncation, that one of `others` has too. In order.
template <class Asked>
std::vector<std::size_t> shared_prompts(const std::vector<Asked>& records, const std::vector<Asked>& others) {
  std::unordered_set<std::string_view> asked;
  for (const Asked& other : others) asked.insert(other.asked);
  std::vector<std::size_t> shared;
  for (std::size_t i = 0; i < records.size(); ++i) {
    if (asked.contains(records[i].asked)) shared.push_back(i);
  }
  return shared;
}

/// Leaves out the pairs at `places`, which ascend, and counts them as skipped for `reason`.
void leave_out(PreferenceData& data, std::span<const std::size_t> places, const std::string& reason);

/// SHA-256 of the pairs' tokens and numbers, in order: what a cache of reference log-probs and a checkpoint
/// keep.
std::string fingerprint(std::span<const TokenisedPair> pairs);

/// The pair as a group of two sequences for the planner: chosen first, completions scored, grades (score,
/// margin).
std::vector<Sequence> as_group(const TokenisedPair& pair);

/// All of them as groups.
Dataset as_dataset(const PreferenceData& data);

}  // namespace prefer
