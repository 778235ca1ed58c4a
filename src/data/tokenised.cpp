// Encodes preferences, truncates and counts, refuses what can't be trained on, and hashes what can.
#include "prefer/data/tokenised.hpp"

#include "src/data/sides.hpp"

#include <algorithm>
#include <bit>
#include <cmath>
#include <utility>

namespace prefer {
namespace {

/// Cuts a side to length. Returns whether its end token is still there.
bool truncate(TokenisedCompletion& side, const LengthOptions& options) {
  const auto prompt = std::ssize(side.prompt);
  const auto [begin, end] = options.kept(prompt + std::ssize(side.completion));
  const TokenRange answer{std::max<std::int64_t>(0, begin - prompt), std::max<std::int64_t>(0, end - prompt)};
  keep(side.prompt, {std::min(begin, prompt), std::min(end, prompt)});
  keep(side.completion, answer);
  return std::cmp_greater(side.end, answer.begin) && std::cmp_less_equal(side.end, answer.end);
}

class Tokeniser {
 public:
  Tokeniser(const SpanBuilder& builder, const LengthOptions& options)
      : builder_(builder), options_(options) {}

  void add(const Preference& source, PreferenceData& data) const {
    TokenCounts counts;
    TokenisedCompletion chosen = encode(source.prompt, source.chosen, builder_, options_, source.tools);
    TokenisedCompletion rejected = encode(source.prompt, source.rejected, builder_, options_, source.tools);
    std::string asked = hash_of(chosen.prompt);
    TokenisedPair pair{cut(std::move(chosen), options_, counts),
                       cut(std::move(rejected), options_, counts),
                       source.score_chosen,
                       source.score_rejected,
                       source.margin,
                       source.place,
                       std::move(asked),
                       source.subset};
    if (scorable(pair.chosen) == 0 || scorable(pair.rejected) == 0) {
      return data.skipped.add("no token of an answer is left after max_length", source.place);
    }
    if (pair.chosen == pair.rejected) {
      return data.skipped.add("chosen and rejected have the same tokens after max_length", source.place);
    }
    counts.bare = is_bare(source.prompt, builder_, options_) ? 2 : 0;
    counts.unshared = pair.chosen.prompt != pair.rejected.prompt;
    pair.counts = counts;
    data.pairs.push_back(std::move(pair));
  }

 private:
  const SpanBuilder& builder_;
  const LengthOptions& options_;
};

}  // namespace

TokenisedCompletion encode(const Words& prompt, const Words& answer, const SpanBuilder& builder,
                           const LengthOptions& options, const Json& tools) {
  if (prompt.index() == 1)
    return builder.answer(std::get<1>(prompt), std::span(std::get<1>(answer)), {.tools = tools});
  return builder.answer(std::get<0>(prompt), std::get<0>(answer), specials_if(options.specials_in_text),
                        options.append_eos);
}

bool is_bare(const Words& words, const SpanBuilder& builder, const LengthOptions& options) {
  return words.index() == 0 && builder.has_template() && !options.specials_in_text;
}

TokenisedSide cut(TokenisedCompletion made, const LengthOptions& options, TokenCounts& counts) {
  const auto size = static_cast<std::int64_t>(made.prompt.size() + made.completion.size());
  const bool had_end = made.end != 0;
  const bool has_end = truncate(made, options);
  ++counts.sides;
  counts.truncated += size > static_cast<std::int64_t>(made.prompt.size() + made.completion.size());
  counts.with_end += had_end;
  counts.end_lost += had_end && !has_end;
  counts.separate += made.separate;
  counts.rewritten += made.rewritten;
  counts.longest = std::max(counts.longest, size);
  return {std::move(made.prompt), std::move(made.completion)};
}

std::size_t scorable(const TokenisedSide& side) {
  const std::size_t count = side.completion.size();
  return side.prompt.empty() && count > 0 ? count - 1 : count;
}

void hash_tokens(Sha256& hash, const std::vector<std::int32_t>& ids) {
  std::string bytes;
  const auto put = [&](std::uint64_t value, int count) {
    for (int i = 0; i < count; ++i) bytes += static_cast<char>(value >> (8 * i) & 0xFF);
  };
  put(ids.size(), 8);
  for (const std::int32_t id : ids) put(static_cast<std::uint32_t>(id), 4);
  hash.add(bytes);
}

void hash_number(Sha256& hash, double value) {
  const std::uint64_t bits = std::isnan(value) ? ~std::uint64_t{0} : std::bit_cast<std::uint64_t>(value);
  std::string bytes;
  for (int i = 0; i < 8; ++i) bytes += static_cast<char>(bits >> (8 * i) & 0xFF);
  hash.add(bytes);
}

std::string hash_of(const std::vector<std::int32_t>& ids) {
  Sha256 hash;
  hash_tokens(hash, ids);
  return hash.hex();
}

Sequence sequence_of(const TokenisedSide& side, std::int64_t which, std::vector<float> grade) {
  Sequence out = answer_after(side.prompt, side.completion);
  out.role = which;
  out.grade = std::move(grade);
  return out;
}

void check_counts(const TokenCounts& counts, const LengthOptions& options, const std::string& name) {
  if (counts.with_end > 0 && counts.end_lost == counts.with_end) {
    fail(name, ": every completion lost its end token to max_length ", options.max_length,
         ", so none would teach to ", "stop; the longest side has ", counts.longest, " tokens");
  }
  if (counts.truncated == counts.sides) {
    fail(name, ": every side was truncated to max_length ", options.max_length, "; the longest has ",
         counts.longest, " tokens");
  }
}

void LengthOptions::describe(Fields& f) {
  f("max_length", max_length, "tokens of prompt and completion together, longer ones are cut; 0: any",
    non_negative());
  f("truncation", truncation, "which part of a text over max_length stays",
    one_of({"keep_start", "keep_end"}));
  f("append_eos", append_eos, "end plain answers with the end token; false for answers that were cut off");
  f("specials_in_text", specials_in_text,
    "plain texts may spell control tokens (true for texts rendered before)");
}

TokenRange LengthOptions::kept(std::int64_t size) const {
  if (max_length == 0 || size <= max_length) return {0, size};
  if (truncation == "keep_end") return {size - max_length, size};
  return {0, max_length};
}

TokenCounts& TokenCounts::operator+=(const TokenCounts& other) {
  sides += other.sides;
  truncated += other.truncated;
  with_end += other.with_end;
  end_lost += other.end_lost;
  separate += other.separate;
  rewritten += other.rewritten;
  unshared += other.unshared;
  bare += other.bare;
  longest = std::max(longest, other.longest);
  return *this;
}

std::string TokenCounts::text(std::size_t records, const std::string& what) const {
  std::string out =
      std::to_string(records) + " " + what + ", the longest side " + std::to_string(longest) + " tokens";
  const auto add = [&](std::int64_t count, const std::string& said) {
    if (count != 0) out += ", " + std::to_string(count) + " " + said;
  };
  add(truncated, "sides truncated");
  add(end_lost, "end tokens lost");
  add(sides - with_end, "sides without an end token");
  add(separate, "sides encoded apart from their prompt");
  add(rewritten, "sides whose prompt the template rewrites");
  add(bare, "sides of plain text, without the chat template that messages get");
  add(unshared, what + " with prompts that differ");
  return out;
}

PreferenceData tokenise(std::span<const Preference> pairs, const SpanBuilder& builder,
                        const LengthOptions& options, OnBad on_bad) {
  PreferenceData data;
  const Tokeniser tokeniser(builder, options);
  for (const Preference& pair : pairs) {
    try {
      tokeniser.add(pair, data);
    } catch (const Error& error) {
      if (on_bad == OnBad::stop) throw BadRecord(pair.place, error.what());
      data.skipped.add(error.what(), pair.place);
    }
  }
  return data;
}

PreferenceData load_preferences(Fs& fs, const std::string& path, const SpanBuilder& builder,
                                const LengthOptions& options, OnBad on_bad) {
  Skipped skipped;
  const auto dialogues = builder.has_template() ? Dialogues::as_messages : Dialogues::as_text;
  const std::vector<Preference> pairs = read_preferences(fs, path, on_bad, dialogues, skipped);
  PreferenceData data = tokenise(pairs, builder, options, on_bad);
  data.skipped.add(skipped);
  return data;
}

TokenCounts PreferenceData::counts() const { return sum_of_counts(pairs); }

void check_trainable(const PreferenceData& data, const LengthOptions& options, const std::string& name) {
  check_trainable(data, data.pairs.size(), "pair", options, name);
}

void leave_out(PreferenceData& data, std::span<const std::size_t> places, const std::string& reason) {
  leave_out(data.pairs, data.skipped, places, reason);
}

std::string fingerprint(std::span<const TokenisedPair> pairs) {
  Sha256 hash;
  for (const TokenisedPair& pair : pairs) {
    for (const TokenisedSide* side : {&pair.chosen, &pair.rejected}) {
      hash_tokens(hash, side->prompt);
      hash_tokens(hash, side->completion);
    }
    for (const double number : {pair.score_chosen, pair.score_rejected, pair.margin})
      hash_number(hash, number);
  }
  return hash.hex();
}

std::vector<Sequence> as_group(const TokenisedPair& pair) {
  const auto margin = static_cast<float>(pair.margin);
  return {sequence_of(pair.chosen, role::kChosen, {static_cast<float>(pair.score_chosen), margin}),
          sequence_of(pair.rejected, role::kRejected, {static_cast<float>(pair.score_rejected), margin})};
}

Dataset as_dataset(const PreferenceData& data) {
  const TokenCounts counts = data.counts();
  Dataset out{.fingerprint = fingerprint(data.pairs),
              .counts = counts.text(data.pairs.size(), "pairs"),
              .skipped = data.skipped};
  for (const TokenisedPair& pair : data.pairs) {
    out.records.push_back(as_group(pair));
    out.asked.push_back(pair.asked);
  }
  if (counts.truncated > 0) out.noted.emplace_back("answers truncated", counts.truncated);
  if (counts.unshared > 0) out.noted.emplace_back("pairs without a shared prompt", counts.unshared);
  return out;
}

}  // namespace prefer
