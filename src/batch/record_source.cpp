// Plans steps over records and materialises their slots.
#include "prefer/batch/record_source.hpp"

#include "prefer/core/error.hpp"
#include "prefer/core/random.hpp"

#include <algorithm>
#include <numeric>

namespace prefer {
namespace {

/// Sizes of the runs that records of so many tokens fall into when each takes what `limit` allows, a larger
/// record being a run of its own; and when, of `parts` runs, none may be left without a record.
std::vector<std::size_t> runs(const std::vector<int64_t>& tokens, int64_t limit, std::size_t parts) {
  std::vector<std::size_t> sizes;
  int64_t filled = 0;
  for (std::size_t i = 0; i < tokens.size(); ++i) {
    const bool rest_is_spoken_for = sizes.size() < parts && tokens.size() - i == parts - sizes.size();
    if (sizes.empty() || filled + tokens[i] > limit || rest_is_spoken_for) {
      sizes.push_back(0);
      filled = 0;
    }
    ++sizes.back();
    filled += tokens[i];
  }
  return sizes;
}

/// Of each key, the same number 0 .. for the same key, in the order of their first.
template <class Key>
std::vector<int64_t> numbered(const std::vector<Key>& keys) {
  std::map<Key, int64_t> known;
  std::vector<int64_t> numbers;
  for (const Key& key : keys)
    numbers.push_back(known.try_emplace(key, static_cast<int64_t>(known.size())).first->second);
  return numbers;
}

}  // namespace

std::vector<std::size_t> cut_into_slots(const std::vector<int64_t>& tokens, const RecordOrder& order) {
  const auto slots = static_cast<std::size_t>(order.slots);
  const std::size_t needed = runs(tokens, order.tokens_per_slot, 0).size();
  const std::size_t parts = std::min(tokens.size(), (needed + slots - 1) / slots * slots);
  int64_t low = 1, high = std::accumulate(tokens.begin(), tokens.end(), int64_t{1});
  while (low < high) {  // the smallest limit that makes no more runs than that
    const int64_t middle = low + (high - low) / 2;
    if (runs(tokens, middle, 0).size() <= parts) {
      high = middle;
    } else {
      low = middle + 1;
    }
  }
  return runs(tokens, low, parts);
}

void RecordOrder::describe(Fields& f, const std::string& batch) {
  f("batch_size", batch_size, batch, within(1, 1 << 20));
  f("shuffle", shuffle, "permute the records anew in every pass; false keeps the file's order");
  f("share_prefixes", share_prefixes, "compute the common prefix of a record's sequences once");
  f("tokens_per_slot", tokens_per_slot, "token budget of a micro-batch", at_least(1));
}

RecordSource::RecordSource(std::shared_ptr<const std::vector<Record>> records, RecordOrder order,
                           at::Device device)
    : records_(std::move(records)), order_(order), device_(device) {
  if (records_->empty()) fail("training wants at least one record, and there is none");
  for (const auto& [name, value] : {std::pair{"batch_size", order_.batch_size},
                                    {"tokens_per_slot", order_.tokens_per_slot},
                                    {"slots", order_.slots}})
    if (value < 1) fail("the order of records: ", name, " = ", value, "; 1 or more is wanted");
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
  std::vector<int64_t> chosen(static_cast<std::size_t>(order_.batch_size)), tokens;
  for (int64_t i = 0; i < order_.batch_size; ++i) {
    chosen[i] = record_at((step - 1) * order_.batch_size + i);
    tokens.push_back(tokens_[chosen[i]]);
  }
  auto record = chosen.begin();
  for (const std::size_t size : cut_into_slots(tokens, order_)) {
    Slot& slot = plan.slots.emplace_back(Slot{.index = static_cast<int64_t>(plan.slots.size())});
    for (; slot.records.size() < size; ++record) {
      slot.tokens += tokens_[*record];
      slot.records.push_back(*record);
      for (const auto& [name, n] : count((*records_)[*record])) slot.counts[name] += n;
    }
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
  Batch batch =
      make_batch(make_forest(sequences, order_.share_prefixes ? Sharing::on : Sharing::off), device_);
  batch.slot = slot.index;
  for (const auto& [name, column] : columns_) {
    std::vector<float> values;
    for (const int64_t record : slot.records)
      values.insert(values.end(), column[record].begin(), column[record].end());
    batch.set(name, Axis::scored, tensor_of(values, at::kFloat).to(device_));
  }
  return batch;
}

int64_t RecordSource::longest() const {
  std::size_t longest = 0;
  for (const Record& record : *records_)
    for (const Sequence& s : record) longest = std::max(longest, s.tokens.size());
  return static_cast<int64_t>(longest);
}

void RecordSource::tell_prompts_by(const std::vector<std::string>& asked) {
  if (asked.size() != records_->size())
    fail("prompts of ", records_->size(), " records are not told apart by ", asked.size());
  prompt_ = numbered(asked);
}

std::vector<std::size_t> RecordSource::prompts_of(const Plan& plan) const {
  const std::vector<int64_t> numbers = prompts();
  std::vector<std::size_t> prompts;
  for (const Slot& slot : plan.slots)
    for (const int64_t record : slot.records)
      prompts.push_back(static_cast<std::size_t>(numbers[static_cast<std::size_t>(record)]));
  return prompts;
}

void RecordSource::attach(std::string name, std::vector<ScoredColumn> values) {
  if (values.size() != records_->size()) {
    fail("column ", name, " wants an entry for each of ", records_->size(), " records, not ", values.size());
  }
  columns_.insert_or_assign(std::move(name), std::move(values));
}

std::vector<int64_t> number_prompts(const std::vector<Record>& records) {
  std::vector<std::vector<int32_t>> prompts;
  for (const Record& record : records) {
    const Sequence& first = record.front();
    prompts.emplace_back(first.tokens.begin(), first.tokens.begin() + first.scored.front().begin);
  }
  return numbered(prompts);
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
