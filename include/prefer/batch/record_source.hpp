// The source of everything that is trained on from a file: records in keyed order, cut into slots by tokens.
#pragma once

#include "prefer/batch/source.hpp"
#include "prefer/core/config.hpp"
#include "prefer/data/dataset.hpp"

#include <memory>

namespace prefer {

/// How records become steps. Trainers set `slots` and `seed` themselves, from their `team.slots` and `seed`.
struct RecordOrder {
  int64_t batch_size = 16;         ///< records a step, over all ranks
  bool shuffle = true;             ///< keyed permutation a pass over the data; false: file order
  bool share_prefixes = true;      ///< compute the common prefix of a group once
  int64_t tokens_per_slot = 8192;  ///< the token budget of a micro-batch; a single record may exceed it
  int64_t slots = 1;               ///< a step is cut into a multiple of them, where there are as many records
  uint64_t seed = 0;               ///< of the permutations

  /// `batch` says what batch_size counts.
  void describe(Fields& f, const std::string& batch = "records a step, over all micro-batches and ranks");
};

/// Values for the scored tokens of a record's sequences, end to end, as `reference` log-probs kept on disk.
using ScoredColumn = std::vector<float>;

/// Of each record, the same number 0 .. for the same prompt: the tokens before the first that is scored. [N]
std::vector<int64_t> number_prompts(const std::vector<Record>& records);

class RecordSource final : public Source {
 public:
  /// Throws Error when there are no records.
  RecordSource(std::shared_ptr<const std::vector<Record>> records, RecordOrder order,
               at::Device device = at::kCPU);

  Plan plan(int64_t step) override;
  Batch batch(int64_t step, const Slot& slot) override;

  /// Attaches a column of the scored axis: one entry a record.
  void attach(std::string name, std::vector<ScoredColumn> values);

  int64_t longest() const;  ///< tokens of the longest sequence
  /// Tells prompts apart by these, one for each record, instead of by what truncation left of their tokens.
  void tell_prompts_by(const std::vector<std::string>& asked);
  /// Of each record, the same number 0 .. for the same prompt. [N]
  std::vector<int64_t> prompts() const { return prompt_.empty() ? number_prompts(*records_) : prompt_; }
  /// The same of a plan's records, in its order.
  std::vector<std::size_t> prompts_of(const Plan& plan) const;
  int64_t size() const { return static_cast<int64_t>(records_->size()); }
  const std::vector<Record>& records() const { return *records_; }
  const RecordOrder& order() const { return order_; }
  at::Device device() const { return device_; }

 private:
  int64_t record_at(int64_t position) const;

  std::shared_ptr<const std::vector<Record>> records_;
  RecordOrder order_;
  at::Device device_;
  std::vector<int64_t> tokens_;  // laid out, a record
  std::vector<int64_t> prompt_;  // of each record, where it is told otherwise than by tokens
  std::map<std::string, std::vector<ScoredColumn>> columns_;
};

/// Cuts a step's records of so many tokens, in their order, into the fewest runs that the token budget allows
/// and that are a multiple of `order.slots`, and makes the largest of them as small as it can be. Sizes of
/// the runs.
std::vector<std::size_t> cut_into_slots(const std::vector<int64_t>& tokens, const RecordOrder& order);

/// What a record counts for: groups, sequences, completion_tokens and prompt_tokens, weighted by the records'
/// shares.
Counts count(const Record& record);

}  // namespace prefer
