// Makes the tensors of a forest, and keeps named columns to their axis.
#include "prefer/batch/batch.hpp"

#include "prefer/batch/source.hpp"
#include "prefer/core/error.hpp"

namespace prefer {

void Batch::set(const std::string& name, Axis axis, Tensor values) {
  const int64_t groups = group.numel() == 0 ? 0 : at::max(group).item<int64_t>() + 1;
  const int64_t length = axis == Axis::scored      ? scored()
                         : axis == Axis::sequences ? sequences()
                         : axis == Axis::reads     ? reads.row.size(0)
                                                   : groups;
  if (values.dim() < 1 || values.size(0) != length) {
    fail("column ", name, " wants ", length, " rows, not ", values.dim() < 1 ? 0 : values.size(0));
  }
  columns_.insert_or_assign(name, Column{axis, std::move(values)});
}

const Tensor& Batch::column(const std::string& name) const {
  const auto at = columns_.find(name);
  if (at != columns_.end()) return at->second.values;
  std::string known;
  for (const auto& [key, _] : columns_) known += (known.empty() ? "" : ", ") + key;
  fail("the batch has no column ", name, "; it has ", known.empty() ? "none" : known);
}

Batch make_batch(const Forest& f, at::Device device) {
  const auto put = [&](const auto& values, at::ScalarType type) {
    return tensor_of(values, type).to(device, type, /*non_blocking=*/true);
  };
  const auto ids = [&](const auto& values) { return put(values, at::kLong); };
  const auto reals = [&](const auto& values) { return put(values, at::kFloat); };
  Batch b;
  b.tokens = ids(f.tokens);        // [T]
  b.positions = ids(f.positions);  // [T]
  b.segments = f.segments;
  b.row = ids(f.row);            // [M]
  b.label = ids(f.label);        // [M]
  b.sequence = ids(f.sequence);  // [M]
  b.term = ids(f.term);          // [M]
  if (!f.weight.empty()) b.weight = reals(f.weight);
  b.group = tensor_of(f.group, at::kLong);                                  // [S]
  b.role = tensor_of(f.role, at::kLong);                                    // [S]
  b.grade = reals(f.grade).reshape({f.sequences(), f.grades});              // [S, A]
  b.share = tensor_of(f.share, at::kFloat);                                 // [S]
  b.reads = {ids(f.read_row), ids(f.read_sequence), reals(f.read_target)};  // [P]
  return b;
}

std::vector<int64_t> tokens_of(const std::vector<Slot>& slots) {
  std::vector<int64_t> tokens;
  for (const Slot& slot : slots) tokens.push_back(slot.tokens);
  return tokens;
}

Counts Plan::total() const {
  Counts sum;
  for (const Slot& slot : slots) {
    for (const auto& [name, count] : slot.counts) sum[name] += count;
  }
  return sum;
}

}  // namespace prefer
