// The embedding as a differentiable op.
#include "prefer/ops/embedding.hpp"

#include "prefer/core/error.hpp"
#include "prefer/ops/differentiable.hpp"
#include "src/ops/dispatch.hpp"

#include <cmath>

namespace prefer {

Tensor embed(const Tensor& table, const Tensor& ids) {
  if (table.dim() != 2 || ids.dim() != 1 || ids.scalar_type() != at::kLong) {
    fail("embed wants a table [V, D] and int64 ids [T], not ", table.sizes(), " and ", ids.sizes(), " ",
         ids.scalar_type());
  }
  if (ids.device().is_cpu() && ids.numel() > 0) {
    const int64_t low = ids.min().item<int64_t>(), high = ids.max().item<int64_t>();
    if (low < 0 || high >= table.size(0)) {
      fail("embed: id ", low < 0 ? low : high, " lies outside the table of ", table.size(0), " rows");
    }
  }
  Tensor rows, known = ids;
  {
    const at::NoGradGuard no_grad;
    if (ids.device().is_cpu()) {
      rows = at::index_select(table, 0, ids);  // [T, D]
    } else {
      known = ids.clamp(0, table.size(0) - 1);
      rows = at::index_select(table, 0, known).masked_fill_((known != ids).unsqueeze(1), NAN);
    }
  }
  differentiable(
      "embedding", {rows}, {table},
      [known, size = table.size(0), type = table.scalar_type()](const std::vector<Tensor>& gradients,
                                                                const std::vector<bool>&) {
        const Tensor wide = gradients[0].to(ops::wide_type(type)).contiguous();
        return std::vector<Tensor>{at::embedding_dense_backward(wide, known, size, -1, false).to(type)};
      });
  return rows;
}

}  // namespace prefer
