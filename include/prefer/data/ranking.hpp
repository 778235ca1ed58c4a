// Rankings: K answers to one prompt, from best to worst as people or a judge put them. As records, and as
// tokens.
//
// Forms: {prompt, answers, ranks}, 1 the best, or {prompt, answers, scores}, the highest the best; equal
// ranks or scores are ties. The prompt and each answer are a text or a list of messages. Optional, in the
// record or in its "metadata": the text subset or category. "system" and "tools" are as for pairs.
#pragma once

#include "prefer/data/tokenised.hpp"

#include <span>
#include <string>
#include <vector>

namespace prefer {

struct Ranking {
  Words prompt = {};
  std::vector<Words> answers = {};       ///< all texts or all messages, as the prompt is
  std::vector<std::int64_t> ranks = {};  ///< of each answer: 1, and 1 more for each answer that is better
  std::string place = {};                ///< "file:line:column" of the record
  std::string subset = {};               ///< which part of the data the record is of, or empty
  Json tools = {};                       ///< for the chat template
};

/// Throws BadRecord or Error, with the place, for a record of another form, fewer than
/// two answers, another number of ranks or scores than of answers, an empty answer, equal answers that are
/// ranked apart, a ranking that is one tie, and what is refused of the messages of pairs (preference.hpp).
Ranking ranking_from_json(const Json& record);

struct TokenisedRanking {
  std::vector<TokenisedSide> answers = {};  ///< mostly of one prompt
  std::vector<std::int64_t> ranks = {};
  std::string place = {};
  std::string asked = {};  ///< SHA-256 of the first answer's prompt before truncation
  std::string subset = {};
  TokenCounts counts = {};  ///< of its sides
};

/// All rankings of a data set, ready to be trained on.
struct RankingData {
  std::vector<TokenisedRanking> rankings = {};
  Skipped skipped = {};
  TokenCounts counts() const;  ///< of the rankings that are in it now
};

/// Reads and encodes a file. A ranking with an answer of which no token is left after truncation, or with
/// answers ranked apart that have the same tokens, is left out and counted, whatever on_bad says.
RankingData load_rankings(Fs& fs, const std::string& path, const SpanBuilder& builder,
                          const LengthOptions& options, OnBad on_bad);

/// As for pairs (tokenised.hpp).
void check_trainable(const RankingData& data, const LengthOptions& options, const std::string& name);
void leave_out(RankingData& data, std::span<const std::size_t> places, const std::string& reason);

/// The ranking as a group for the planner: answer k has role k, its completion is scored, its grade is its
/// rank.
std::vector<Sequence> as_group(const TokenisedRanking& ranking);

/// All of them as groups.
Dataset as_dataset(const RankingData& data);

}  // namespace prefer
