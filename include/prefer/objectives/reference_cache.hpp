// A reference's log-probabilities, computed once and kept on disk under a name made of what they depend on.
#pragma once

#include "prefer/batch/record_source.hpp"
#include "prefer/core/fs.hpp"
#include "prefer/model/model.hpp"

#include <functional>
#include <string>
#include <vector>

namespace prefer {

/// Progress of long work: done and total, in records.
using Progress = std::function<void(int64_t done, int64_t total)>;

/// What `read` says of every scored token, or of every read (Axis::reads), of every record, without gradient:
/// it gives [M], or [P], of a batch. A record's numbers stand end to end.
std::vector<ScoredColumn> read_columns(const RecordSource& source, Axis axis,
                                       const std::function<Tensor(const Batch&)>& read,
                                       const Progress& progress = {});

/// log pi_ref of every scored token of every record, without gradient; a record's tokens end to end.
std::vector<ScoredColumn> score_records(const Model& reference, const RecordSource& source,
                                        const Progress& progress);

/// What the log-probs depend on: tokens, scored ranges, the reference (model_fingerprint), its number type
/// and the route of its products (`how`). SHA-256.
std::string reference_key(const std::vector<Record>& records, const std::string& weights,
                          const std::string& how);

/// Reads `folder`/`key`.safetensors where it is there; otherwise calls `compute` and writes it atomically.
/// Throws Error for a file that is damaged.
std::vector<ScoredColumn> cached_reference(Fs& fs, const std::string& folder, const std::string& key,
                                           const std::function<std::vector<ScoredColumn>()>& compute);

}  // namespace prefer
