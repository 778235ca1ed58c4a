// Plans and makes the mismatched answers of a step.
#include "prefer/batch/mismatched.hpp"

#include "prefer/core/error.hpp"

#include <algorithm>

namespace prefer {
namespace {

/// Where the completion begins.
int64_t border_of(const Record& record) { return record.front().scored.front().begin; }
int64_t completion_of(const Record& record) {
  return static_cast<int64_t>(record.front().tokens.size()) - border_of(record);
}

}  // namespace

MismatchedSource::MismatchedSource(std::unique_ptr<RecordSource> records, const LengthOptions& length)
    : records_(std::move(records)), length_(length) {
  for (const Record& record : records_->records()) {
    const bool fits = record.size() == 1 && record.front().scored.size() == 1 &&
                      record.front().scored.front().end == static_cast<int64_t>(record.front().tokens.size());
    if (!fits) fail("mismatched answers want records of one prompt and one completion");
  }
  prompt_ = number_prompts(records_->records());
  if (std::ranges::max(prompt_) == 0)
    fail("answers to other prompts want two prompts that differ, and all records (", prompt_.size(),
         ") have one");
}

/// The record whose completion the prompt at `place` of the step gets.
int64_t MismatchedSource::partner(const std::vector<int64_t>& chosen, std::size_t place) const {
  const int64_t asked = chosen[place];
  const auto differs = [&](int64_t other) { return prompt_[other] != prompt_[asked]; };
  for (std::size_t k = 1; k < chosen.size(); ++k) {
    const int64_t other = chosen[(place + k) % chosen.size()];
    if (differs(other)) return other;
  }
  int64_t other = asked;
  do other = (other + 1) % records_->size();
  while (!differs(other));
  return other;
}

Sequence MismatchedSource::joined(int64_t asked, int64_t answered) const {
  const Record &question = records_->records()[asked], &answer = records_->records()[answered];
  const Sequence& prompt = question.front();
  const auto part = [](const Record& record, int64_t begin, int64_t size) {
    return std::span(record.front().tokens)
        .subspan(static_cast<std::size_t>(begin), static_cast<std::size_t>(size));
  };
  Sequence s = answer_after(part(question, 0, border_of(question)),
                            part(answer, border_of(answer), completion_of(answer)));
  const TokenRange kept = length_.kept(std::ssize(s.tokens));
  keep(s.tokens, kept);
  const int64_t border = border_of(question) - kept.begin;
  s.scored.front().begin = std::max<int64_t>(1, border);  // the first token has nothing before it
  s.scored.front().end = std::ssize(s.tokens);
  s.role = role::kStatistic;
  s.grade = prompt.grade;
  s.share = prompt.share;
  return s;
}

int64_t MismatchedSource::longest() const {
  int64_t prompt = 0, completion = 0;
  for (const Record& record : records_->records()) {
    prompt = std::max(prompt, border_of(record));
    completion = std::max(completion, completion_of(record));
  }
  return prompt + completion;
}

// Slots of the statistics hold records in pairs: (the prompt's, the completion's).
Plan MismatchedSource::plan(int64_t step) {
  Plan plan = records_->plan(step);
  std::vector<int64_t> chosen, pairs, tokens;
  for (const Slot& slot : plan.slots) chosen.insert(chosen.end(), slot.records.begin(), slot.records.end());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const int64_t answered = partner(chosen, i);
    pairs.insert(pairs.end(), {chosen[i], answered});
    const int64_t size =
        border_of(records_->records()[chosen[i]]) + completion_of(records_->records()[answered]);
    tokens.push_back(length_.kept(size).size());
  }
  auto pair = pairs.begin();
  auto count = tokens.begin();
  for (const std::size_t size : cut_into_slots(tokens, records_->order())) {
    Slot slot{.index = static_cast<int64_t>(plan.slots.size() + plan.statistics.size())};
    for (std::size_t i = 0; i < size; ++i, pair += 2) {
      slot.tokens += *count++;
      slot.records.insert(slot.records.end(), pair, pair + 2);
    }
    plan.statistics.push_back(std::move(slot));
  }
  return plan;
}

Batch MismatchedSource::batch(int64_t step, const Slot& slot) {
  if (!slot.counts.empty()) return records_->batch(step, slot);  // statistics count for nothing
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < slot.records.size(); i += 2) {
    sequences.push_back(joined(slot.records[i], slot.records[i + 1]));
    sequences.back().group = static_cast<int64_t>(i / 2);
  }
  Batch batch = make_batch(make_forest(sequences, Sharing::off), records_->device());
  batch.slot = slot.index;
  return batch;
}

}  // namespace prefer
