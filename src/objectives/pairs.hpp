// What objectives on pairs share: which sequences are the sides of a pair, and how often the better one wins.
#pragma once

#include "prefer/batch/batch.hpp"
#include "prefer/core/error.hpp"

#include <ATen/ops/nonzero.h>

namespace prefer {

/// In the order of the pairs.
struct PairRows {
  Tensor chosen;    // [N] on the CPU
  Tensor rejected;  // [N]
};

/// Throws Error unless every group has one chosen and one rejected sequence.
inline PairRows pair_rows(const Batch& batch) {
  const auto rows_of = [&](int64_t which) { return at::nonzero(batch.role == which).squeeze(1); };
  const PairRows rows{rows_of(role::kChosen), rows_of(role::kRejected)};
  if (rows.chosen.numel() != rows.rejected.numel() ||
      !at::equal(batch.group.index_select(0, rows.chosen), batch.group.index_select(0, rows.rejected))) {
    fail("a pairwise loss wants one chosen and one rejected sequence in each group; there are ",
         rows.chosen.numel(), " chosen and ", rows.rejected.numel(), " rejected");
  }
  return rows;
}

/// 1 where what is better scores higher by a gap above 0, 1/2 for a tie. Of the gap's shape, double
inline Tensor wins(const Tensor& gap) { return (gap > 0).to(at::kDouble) + 0.5 * (gap == 0).to(at::kDouble); }

}  // namespace prefer
