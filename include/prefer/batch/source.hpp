// What is trained on in a step: a plan that every rank makes alike, and batches made from it one by one.
#pragma once

#include "prefer/batch/batch.hpp"

#include <map>
#include <string>
#include <vector>

namespace prefer {

/// How much there is of each thing that a loss term may be per ("groups", "sequences",
/// "completion_tokens", "prompt_tokens"), weighted by the records' shares.
using Counts = std::map<std::string, double>;

/// A part of a step that is run at once: the unit that is dealt to ranks and whose gradient is summed as one.
struct Slot {
  int64_t index = 0;
  int64_t tokens = 0;            ///< laid out, after sharing
  std::vector<int64_t> records;  ///< which records of the source it holds
  Counts counts;
};

/// One step: a fixed number of records, cut into slots by the token budget. The same on every rank.
struct Plan {
  int64_t step = 0;
  std::vector<Slot> slots;
  std::vector<Slot> statistics;  ///< run by an objective's `prepare` alone, without gradient; their indices
                                 ///< go on from those of `slots`
  Counts total() const;          ///< the sum of the slots' counts, over all ranks
};

/// How many tokens each slot holds: what ranks are dealt by.
std::vector<int64_t> tokens_of(const std::vector<Slot>& slots);

/// A stream of steps, numbered from 1. Order and randomness are keyed by (seed, step, record, ...): a source
/// has no position to restore. What else it must remember stands in `state`.
class Source {
 public:
  virtual ~Source() = default;
  /// Cheap and the same on every rank.
  virtual Plan plan(int64_t step) = 0;
  /// Materialises one slot of `plan(step)`.
  virtual Batch batch(int64_t step, const Slot& slot) = 0;
  /// Named tensors saved with a checkpoint and given back by assignment; changed only after the guard has
  /// passed.
  virtual NamedTensors state() const { return {}; }
  virtual void restore(const NamedTensors&) {}
};

}  // namespace prefer
