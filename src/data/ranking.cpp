// Reads rankings, refuses what ranks nothing, and encodes, counts and hashes the rest as pairs are.
#include "prefer/data/ranking.hpp"

#include "prefer/text/json.hpp"
#include "src/data/sides.hpp"
#include "src/data/words.hpp"

#include <algorithm>
#include <optional>
#include <utility>

namespace prefer {
namespace {

/// A record without answers may have them under another name, or be a pair.
[[noreturn]] void refuse_without_answers(const Json& record) {
  if (given(record, "chosen") && given(record, "rejected"))
    throw BadRecord(
        record.place(),
        "\"answers\" is missing (the record has \"chosen\" and \"rejected\": a pair, which reward "
        "reads with loss.name=bradley_terry)");
  throw BadRecord(record.place(),
                  "\"answers\" is missing in a record of {" + keys_of(record) +
                      "}; a ranking is {prompt, answers, ranks} or {prompt, answers, scores}");
}

/// How good each answer is said to be, the highest the best.
std::vector<double> goodness(const Json& record, std::size_t answers) {
  const Json *ranks = given(record, "ranks"), *scores = given(record, "scores");
  if ((ranks == nullptr) == (scores == nullptr))
    throw BadRecord(record.place(), ranks ? "\"ranks\" and \"scores\" are both given, and one is wanted"
                                          : "\"ranks\" or \"scores\" is missing");
  const Json& given = ranks ? *ranks : *scores;
  if (given.as_array().size() != answers)
    given.fail_here("there are ", answers, " answers and ", given.size(), ranks ? " ranks" : " scores");
  std::vector<double> values;
  for (const Json& value : given.as_array()) {
    const double number = value.as_number();
    if (ranks && number < 1) value.fail_here("a rank is 1 (the best) or more, not ", dump(value));
    values.push_back(ranks ? -number : number);
  }
  return values;
}

std::vector<std::int64_t> ranks_of(const std::vector<double>& goodness) {
  std::vector<std::int64_t> ranks;
  for (const double mine : goodness)
    ranks.push_back(1 + std::ranges::count_if(goodness, [&](double other) { return other > mine; }));
  return ranks;
}

/// Two answers that are equal and ranked apart, which teach nothing; equal ones at one rank may be.
template <class Answer>
std::optional<std::pair<std::size_t, std::size_t>> contradiction(const std::vector<Answer>& answers,
                                                                 const std::vector<std::int64_t>& ranks) {
  for (std::size_t j = 1; j < answers.size(); ++j) {
    for (std::size_t i = 0; i < j; ++i) {
      if (ranks[i] != ranks[j] && answers[i] == answers[j]) return std::pair(i, j);
    }
  }
  return std::nullopt;
}

std::string answer_name(std::size_t index) { return "answer " + std::to_string(index + 1); }

void check(const Ranking& ranking) {
  const auto bad = [&](const std::string& reason) { throw BadRecord(ranking.place, reason); };
  if (std::ranges::count(ranking.ranks, 1) == std::ssize(ranking.ranks))
    bad("all answers are tied, so nothing is ranked");
  for (std::size_t k = 0; k < ranking.answers.size(); ++k)
    check_answer(ranking.answers[k], answer_name(k), ranking.place);
  if (const auto both = contradiction(ranking.answers, ranking.ranks))
    bad(answer_name(both->first) + " equals " + answer_name(both->second) + " and is ranked apart from it");
}

void add(const Ranking& source, const SpanBuilder& builder, const LengthOptions& options, RankingData& data) {
  TokenisedRanking made{{}, source.ranks, source.place, {}, source.subset};
  bool shared = true;
  for (const Words& answer : source.answers) {
    TokenisedCompletion encoded = encode(source.prompt, answer, builder, options, source.tools);
    if (made.answers.empty()) made.asked = hash_of(encoded.prompt);
    made.answers.push_back(cut(std::move(encoded), options, made.counts));
    if (scorable(made.answers.back()) == 0)
      return data.skipped.add("no token of an answer is left after max_length", source.place);
    shared = shared && made.answers.back().prompt == made.answers.front().prompt;
  }
  if (contradiction(made.answers, made.ranks))
    return data.skipped.add("answers ranked apart have the same tokens after max_length", source.place);
  if (is_bare(source.prompt, builder, options)) made.counts.bare = std::ssize(made.answers);
  made.counts.unshared = !shared;
  data.rankings.push_back(std::move(made));
}

std::string fingerprint(const std::vector<TokenisedRanking>& rankings) {
  Sha256 hash;
  for (const TokenisedRanking& ranking : rankings) {
    hash_number(hash, static_cast<double>(ranking.answers.size()));
    for (std::size_t k = 0; k < ranking.answers.size(); ++k) {
      hash_tokens(hash, ranking.answers[k].prompt);
      hash_tokens(hash, ranking.answers[k].completion);
      hash_number(hash, static_cast<double>(ranking.ranks[k]));
    }
  }
  return hash.hex();
}

}  // namespace

Ranking ranking_from_json(const Json& record) {
  if (!record.is_object()) record.fail_here("a record must be an object, not ", record.type_name());
  if (!given(record, "answers")) refuse_without_answers(record);
  const Json &prompt = member(record, "prompt"), &answers = member(record, "answers");
  Ranking ranking{.prompt = words_from(prompt), .place = record.place(), .subset = subset_of(record)};
  for (const Json& answer : answers.as_array()) ranking.answers.push_back(words_from(answer));
  if (ranking.answers.size() < 2)
    answers.fail_here("a ranking wants at least 2 answers, not ", ranking.answers.size());
  ranking.ranks = ranks_of(goodness(record, ranking.answers.size()));
  std::vector<NamedAnswer> all;
  for (std::size_t k = 0; k < ranking.answers.size(); ++k)
    all.push_back({answer_name(k), ranking.answers[k]});
  agree(ranking.prompt, all, prompt, ranking.place);
  add_system(record, ranking.prompt);
  ranking.tools = tools_of(record, ranking.prompt);
  check(ranking);
  return ranking;
}

RankingData load_rankings(Fs& fs, const std::string& path, const SpanBuilder& builder,
                          const LengthOptions& options, OnBad on_bad) {
  RankingData data;
  read_records(fs, path, on_bad, data.skipped, [&](const Json& record) {
    const Ranking ranking = ranking_from_json(record);
    placed_at(record, [&] { add(ranking, builder, options, data); });
  });
  return data;
}

TokenCounts RankingData::counts() const { return sum_of_counts(rankings); }

void check_trainable(const RankingData& data, const LengthOptions& options, const std::string& name) {
  check_trainable(data, data.rankings.size(), "ranking", options, name);
}

void leave_out(RankingData& data, std::span<const std::size_t> places, const std::string& reason) {
  leave_out(data.rankings, data.skipped, places, reason);
}

std::vector<Sequence> as_group(const TokenisedRanking& ranking) {
  std::vector<Sequence> group;
  for (std::size_t k = 0; k < ranking.answers.size(); ++k)
    group.push_back(sequence_of(ranking.answers[k], static_cast<std::int64_t>(k),
                                {static_cast<float>(ranking.ranks[k])}));
  return group;
}

Dataset as_dataset(const RankingData& data) {
  Dataset out{.fingerprint = fingerprint(data.rankings), .skipped = data.skipped};
  std::size_t answers = 0;
  for (const TokenisedRanking& ranking : data.rankings) {
    answers += ranking.answers.size();
    out.records.push_back(as_group(ranking));
  }
  const TokenCounts counts = data.counts();
  out.counts = std::to_string(answers) + " answers in " + counts.text(data.rankings.size(), "rankings");
  if (counts.truncated > 0) out.noted.emplace_back("answers truncated", counts.truncated);
  if (counts.unshared > 0) out.noted.emplace_back("rankings without a shared prompt", counts.unshared);
  return out;
}

}  // namespace prefer
