// Plans and makes the mismatched answers of a step.
#include "prefer/batch/mismatched.hpp"

#include "prefer/core/error.hpp"

namespace prefer {
namespace {

/// The prompt of one record with the completion of another.
Sequence joined(const Record& asked, const Record& answered) {
  const Sequence &prompt = asked.front(), &answer = answered.front();
  const auto border = prompt.scored.front().begin;
  Sequence s;
  s.tokens.assign(prompt.tokens.begin(), prompt.tokens.begin() + border);
  s.tokens.insert(s.tokens.end(), answer.tokens.begin() + answer.scored.front().begin, answer.tokens.end());
  s.scored = {{border, static_cast<int64_t>(s.tokens.size()), Term::completion}};
  s.role = role::kStatistic;
  s.grade = prompt.grade;
  s.share = prompt.share;
  return s;
}

int64_t joined_tokens(const Record& asked, const Record& answered) {
  const Sequence& answer = answered.front();
  return asked.front().scored.front().begin + static_cast<int64_t>(answer.tokens.size()) -
         answer.scored.front().begin;
}

}  // namespace

MismatchedSource::MismatchedSource(std::unique_ptr<RecordSource> records) : records_(std::move(records)) {
  if (records_->order().batch_size < 2)
    fail("batch_size=", records_->order().batch_size,
         ": an answer to another prompt of the step wants 2 or more");
  for (const Record& record : records_->records()) {
    const bool fits = record.size() == 1 && record.front().scored.size() == 1 &&
                      record.front().scored.front().end == static_cast<int64_t>(record.front().tokens.size());
    if (!fits) fail("mismatched answers want records of one prompt and one completion");
  }
}

// Slots of the statistics hold positions in the step, in pairs of (prompt's record, completion's record).
Plan MismatchedSource::plan(int64_t step) {
  Plan plan = records_->plan(step);
  std::vector<int64_t> chosen;
  for (const Slot& slot : plan.slots) chosen.insert(chosen.end(), slot.records.begin(), slot.records.end());
  for (std::size_t i = 0; i < chosen.size(); ++i) {
    const int64_t asked = chosen[i], answered = chosen[(i + 1) % chosen.size()];
    const int64_t tokens = joined_tokens(records_->records()[asked], records_->records()[answered]);
    const bool full =
        plan.statistics.empty() || plan.statistics.back().tokens + tokens > records_->order().tokens_per_slot;
    if (full) {
      const auto index = static_cast<int64_t>(plan.slots.size() + plan.statistics.size());
      plan.statistics.push_back({index, 0, {}, {}});
    }
    Slot& slot = plan.statistics.back();
    slot.tokens += tokens;
    slot.records.insert(slot.records.end(), {asked, answered});
  }
  return plan;
}

Batch MismatchedSource::batch(int64_t step, const Slot& slot) {
  if (!slot.counts.empty()) return records_->batch(step, slot);  // statistics count for nothing
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < slot.records.size(); i += 2) {
    sequences.push_back(
        joined(records_->records()[slot.records[i]], records_->records()[slot.records[i + 1]]));
    sequences.back().group = static_cast<int64_t>(i / 2);
  }
  Batch batch = make_batch(make_forest(sequences, Sharing::off), records_->device());
  batch.slot = slot.index;
  return batch;
}

}  // namespace prefer
