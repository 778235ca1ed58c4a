// Records with, beside them, each prompt once more with the answer to another prompt of the step.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/data/tokenised.hpp"

namespace prefer {

/// Adds to each step the statistics that KTO's estimate of KL(pi || ref) is made of: for every record of the
/// step its prompt with the completion of the next record that has another prompt, the first one following
/// the last. They are paired over the whole step, so that neither slots nor ranks change them; where a step
/// holds one prompt only, with the next record of the data that has another. Longer ones are cut as records
/// are. Sequences have the role kStatistic and what is left of the other record's scored tokens.
class MismatchedSource final : public Source {
 public:
  /// Throws Error unless every record is one sequence with one scored range at its end, and there are two
  /// prompts that differ. Of `length` max_length and truncation are read.
  explicit MismatchedSource(std::unique_ptr<RecordSource> records, const LengthOptions& length = {});

  Plan plan(int64_t step) override;
  Batch batch(int64_t step, const Slot& slot) override;

  RecordSource& records() { return *records_; }
  /// Tokens of the longest that a step may hold, before it is cut.
  int64_t longest() const;

 private:
  int64_t partner(const std::vector<int64_t>& chosen, std::size_t place) const;
  Sequence joined(int64_t asked, int64_t answered) const;

  std::unique_ptr<RecordSource> records_;
  LengthOptions length_;
  std::vector<int64_t> prompt_;  // of each record: the same number for the same tokens
};

}  // namespace prefer
