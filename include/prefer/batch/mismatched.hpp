// Records with, beside them, each prompt once more with the answer to another prompt of the step.
#pragma once

#include "prefer/batch/record_source.hpp"

namespace prefer {

/// Adds to each step the statistics that KTO's estimate of KL(pi || ref) is made of: for every record of the
/// step its prompt with the completion of the next record, and the first one's for the last. They are paired
/// over the whole step, so that neither slots nor ranks change them. Sequences have the role kStatistic and
/// the next record's scored tokens.
class MismatchedSource final : public Source {
 public:
  /// Throws Error unless a step has two records or more, and every record is one sequence with one scored
  /// range at its end.
  explicit MismatchedSource(std::unique_ptr<RecordSource> records);

  Plan plan(int64_t step) override;
  Batch batch(int64_t step, const Slot& slot) override;

  RecordSource& records() { return *records_; }

 private:
  std::unique_ptr<RecordSource> records_;
};

}  // namespace prefer
