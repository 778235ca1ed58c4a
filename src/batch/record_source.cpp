// Plans steps over records and materialises their slots.
#include "prefer/batch/record_source.hpp"

#include <algorithm>

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

namespace prefer {

void RecordOrder::describe(Fields& f) {
  f("batch_size", batch_size, "records a step, over all micro-batches and ranks", within(1, 1 << 20));
  f("shuffle", shuffle, "permute the records anew in every pass; false keeps the file's order");
  f("share_prefixes", share_prefixes, "compute the common prefix of a record's sequences once");
  f("tokens_per_slot", tokens_per_slot, "token budget of a micro-batch", at_least(1));
  f("slots", slots, "cut a step into at least as many micro-batches", within(1, 1 << 20));
}

RecordSource::RecordSource(std::shared_ptr<const std::vector<Record>> records, RecordOrder order, at::Device device)
    : records_(std::move(records)), order_(order), device_(device) {
  if (records_->empty()) fail("training wants at least one record, and there is none");
  const Sharing sharing = order_.share_prefixes ? Sharing::on : Sharing::off;
  tokens_.reserve(records_->size());
  for (const Record& record : *records_) tokens_.push_back(forest_tokens(record, sharing));
}

int64_t RecordSource::record_at(int64_t position) const {
  const auto n = static_cast<uint64_t>(size());
  const auto p = static_cast<uint64_t>(position);
  return static_cast<int64_t>(order_.shuffle ? prefer::record_at(order_.seed, p, n) : p % n);
}

Plan RecordSource::plan(int64_t step) {
  Plan plan{step, {}};
  std::vector<int64_t> chosen(static_cast<std::size_t>(order_.batch_size));
  int64_t total = 0;
  for (int64_t i = 0; i < order_.batch_size; ++i) {
    chosen[i] = record_at((step - 1) * order_.batch_size + i);
    total += tokens_[chosen[i]];
  }
  const int64_t limit = std::min(order_.tokens_per_slot, (total + order_.slots - 1) / order_.slots);
  for (const int64_t record : chosen) {
    if (plan.slots.empty() || plan.slots.back().tokens + tokens_[record] > limit) {
      plan.slots.push_back({static_cast<int64_t>(plan.slots.size()), 0, {}, {}});
    }
    Slot& slot = plan.slots.back();
    slot.tokens += tokens_[record];
    slot.records.push_back(record);
    for (const auto& [name, n] : count((*records_)[record])) slot.counts[name] += n;
  }
  return plan;
}

Batch RecordSource::batch(int64_t, const Slot& slot) {
  std::vector<Sequence> sequences;
  for (std::size_t i = 0; i < slot.records.size(); ++i) {
    for (Sequence s : (*records_)[slot.records[i]]) {
      s.group = static_cast<int64_t>(i);  // a record drawn twice in a step is two groups
      sequences.push_back(std::move(s));
    }
  }
  Batch batch = make_batch(make_forest(sequences, order_.share_prefixes ? Sharing::on : Sharing::off), device_);
  batch.slot = slot.index;
  for (const auto& [name, column] : columns_) {
    std::vector<float> values;
    for (const int64_t record : slot.records) values.insert(values.end(), column[record].begin(), column[record].end());
    batch.set(name, Axis::scored, tensor_of(values, at::kFloat).to(device_));
  }
  return batch;
}

void RecordSource::attach(std::string name, std::vector<ScoredColumn> values) {
  if (values.size() != records_->size()) {
    fail("column ", name, " wants an entry for each of ", records_->size(), " records, not ", values.size());
  }
  columns_.insert_or_assign(std::move(name), std::move(values));
}

Counts count(const Record& record) {
  Counts counts;
  for (const Sequence& s : record) {
    if (s.role == role::kStatistic) continue;
    std::size_t at = 0;
    for (const ScoredRange& range : s.scored) {
      double tokens = 0;
      for (auto t = range.begin; t < range.end; ++t) tokens += s.weight.empty() ? 1 : s.weight[at++];
      counts[range.term == Term::prompt ? "prompt_tokens" : "completion_tokens"] += s.share * tokens;
    }
    counts["sequences"] += s.share;
  }
  if (!record.empty()) counts["groups"] = record.front().share;
  return counts;
}

}  // namespace prefer
